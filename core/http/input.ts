import { z } from "zod";
import { explain } from "../config/explain.ts";
import type { Mistake } from "../config/mistakes.ts";
import { GatewayError } from "../errors.ts";
import { maskText } from "../services/redact.ts";

const NO_FIELDS = z.strictObject({});
const MAX_PARAM_LENGTH = 200;
const MAX_SHOWN = 80;
/** Most mistakes that one answer tells of. */
const MOST_TOLD = 10;

/** What is checked, as an error calls it. */
export type Place = "query parameter" | "field";

/**
 * `input` as the schema gives it. Without a schema nothing may be given. Throws `invalid_request` with every mistake in its
 * message, and the first one's path as `param`.
 */
export function checked(schema: z.ZodObject = NO_FIELDS, input: object, place: Place): Record<string, unknown> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const mistakes = explain(schema, input, result.error.issues);
  const told = mistakes.slice(0, MOST_TOLD).map((mistake) => sentence(mistake, place));
  if (mistakes.length > MOST_TOLD) told.push(`And ${mistakes.length - MOST_TOLD} more.`);
  throw invalid(mistakes[0]?.path ?? null, told.join(" "));
}

/** A query as an object. An empty value is no value; a name may be given once. */
export function queryObject(query: URLSearchParams): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    if (Object.hasOwn(fields, name)) throw invalid(name, `The query parameter ${shown(name)} is given more than once.`);
    fields[name] = value;
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
}

/** Refuses a parameter of a path that no id can look like. */
export function checkParams(params: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(params)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    if (value === "" || value.length > MAX_PARAM_LENGTH || /[\u0000-\u001f\u007f]/.test(value)) {
      throw invalid(name, `The ${name} in the path has to be 1 to ${MAX_PARAM_LENGTH} characters, without control characters.`);
    }
  }
}

/** Somebody may have taken a key for a name. */
function invalid(param: string | null, message: string): GatewayError {
  return new GatewayError("invalid_request", { param: param && maskText(param).slice(0, MAX_SHOWN), message });
}

function shown(name: string): string {
  return JSON.stringify(maskText(name).slice(0, MAX_SHOWN));
}

function sentence({ path, expected, got, hint }: Mistake, place: Place): string {
  if (got.startsWith("the unknown key")) {
    const known = expected.startsWith("a known key: ") ? `known are ${expected.slice("a known key: ".length)}` : "none is taken here";
    return `There is no ${place} ${shown(path)}; ${hint ?? `${known}.`}`;
  }
  const wanted = `The ${place} ${shown(path)} has to be ${expected}, not ${got}`;
  return hint?.startsWith("did you mean") ? `${wanted}; ${hint}` : `${wanted}.`;
}
