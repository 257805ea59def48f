import { parseArgs } from "node:util";
import { describeShape, isShape, type Shape } from "../config/describe.ts";
import { didYouMean } from "../config/nearest.ts";
import type { ApiRoute } from "../http/api.ts";
import { jsonSchema, pathParams } from "../http/openapi.ts";
import { UsageError } from "./output.ts";

/** What a command line asks of a route, as a request would. */
export interface RouteInput {
  readonly params: Record<string, string>;
  readonly query: Record<string, unknown>;
  readonly body: Record<string, unknown>;
}

/** A field of the query or the body, as a flag. */
export interface Flag {
  /** `rotate-every-days`. */
  readonly name: string;
  readonly field: string;
  readonly place: "query" | "body";
  readonly shape: Shape;
  readonly required: boolean;
}

/** Flags that every command of a route takes. */
const COMMON_FLAGS = {
  config: { type: "string", describe: "Config file, or the folder it is in; the working folder by default" },
  url: { type: "string", describe: "Base URL of a running gateway to ask, instead of working on this machine" },
  key: { type: "string", describe: "Key for it; HEADGATE_KEY by default" },
  json: { type: "boolean", describe: "Print the result as JSON" },
  help: { type: "boolean", describe: "Show this" },
} as const;

export function flagsOf(route: ApiRoute): Flag[] {
  const own = (place: Flag["place"], schema: ApiRoute["query"]): Flag[] => {
    const { properties = {}, required = [] } = schema ? jsonSchema(schema, "input") : {};
    return Object.entries(properties).flatMap(([field, shape]) =>
      isShape(shape) ? [{ name: field.replaceAll("_", "-"), field, place, shape, required: required.includes(field) }] : [],
    );
  };
  return [...own("query", route.query), ...own("body", route.body)];
}

/** Reads the words and flags after a command's own words. Throws a UsageError; whether the values are good is for the route's schemas to say. */
export function readFlags(route: ApiRoute, args: readonly string[]): RouteInput {
  const flags = flagsOf(route);
  const kinds = Object.fromEntries([
    ...Object.entries(COMMON_FLAGS).map(([name, { type }]) => [name, { type }] as const),
    ...flags.map(({ name, shape }) => [name, { type: isBoolean(shape) ? "boolean" : "string", multiple: isList(shape) }] as const),
  ]);
  // Fields may be spelt as the API does.
  const spelt = args.map((arg) =>
    /^--[a-z]+(?:_[a-z]+)+(?:=|$)/.test(arg) ? arg.replace(/^[^=]+/, (name) => name.replaceAll("_", "-")) : arg,
  );
  const { values, positionals, tokens } = parseArgs({
    args: spelt,
    options: kinds as NonNullable<Parameters<typeof parseArgs>[0]>["options"],
    strict: false,
    allowNegative: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const kind = kinds[token.name];
    if (!kind)
      throw new UsageError(
        `there is no flag ${token.rawName}; ${
          didYouMean(
            `--${token.name}`,
            Object.keys(kinds).map((name) => `--${name}`),
          ) ?? "see --help"
        }`,
      );
    if (kind.type === "string" && token.value === undefined) throw new UsageError(`${token.rawName} wants a value`);
  }
  const names = pathParams(route);
  if (positionals.length !== names.length) {
    const wanted = names.length === 0 ? "no words" : names.map((name) => `<${name}>`).join(" ");
    throw new UsageError(`headgate ${route.command} takes ${wanted}, and then flags`);
  }
  const input: RouteInput = {
    params: Object.fromEntries(names.map((name, index) => [name, positionals[index] as string])),
    query: {},
    body: {},
  };
  for (const { name, field, place, shape } of flags) {
    const value = values[name];
    // A query comes as text over HTTP too.
    if (value !== undefined) input[place][field] = place === "query" ? String(value) : typed(value, shape);
  }
  return input;
}

/** `  --name   what it takes (default …)`, one a line. */
export function flagHelp(flags: readonly Flag[]): string {
  const rows = [
    ...flags.map(({ name, shape, required }): [string, string] => {
      const notes = [required ? "required" : "", shape.default === undefined ? "" : `default ${JSON.stringify(shape.default)}`].filter(
        Boolean,
      );
      const takes = [describeShape(shape) ?? "a value", shape.description ?? ""].filter(Boolean).join(": ");
      return [`--${name}`, notes.length > 0 ? `${takes} (${notes.join(", ")})` : takes];
    }),
    ...Object.entries(COMMON_FLAGS).map(([name, { describe }]): [string, string] => [`--${name}`, describe]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
}

function alternativesOf(shape: Shape): Shape[] {
  return [shape, ...(shape.anyOf ?? []), ...(shape.oneOf ?? [])].filter(isShape);
}

function isList(shape: Shape): boolean {
  return alternativesOf(shape).some(({ type }) => type === "array");
}

function isBoolean(shape: Shape): boolean {
  return alternativesOf(shape).some(({ type }) => type === "boolean");
}

/** A flag's text as the JSON that its field takes; text that does not fit is left for the schema to complain of. */
function typed(value: unknown, shape: Shape): unknown {
  if (typeof value === "boolean") return value;
  const shapes = alternativesOf(shape);
  const takes = (...types: unknown[]) => shapes.some(({ type }) => types.includes(type));
  if (Array.isArray(value)) {
    const texts = value.flatMap((each) => String(each).split(",")).filter(Boolean);
    if (takes("null") && texts.join() === "null") return null;
    const items = shapes.find(({ type }) => type === "array")?.items;
    return isShape(items) ? texts.map((text) => typed(text, items)) : texts;
  }
  const text = String(value);
  if (text === "null" && takes("null")) return null;
  if (takes("integer", "number") && /^-?\d+(?:\.\d+)?$/.test(text)) return Number(text);
  if (!takes("object") || !text.startsWith("{")) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${JSON.stringify(text.slice(0, 80))} is no JSON`);
  }
}
