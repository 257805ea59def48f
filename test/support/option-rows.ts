import { z } from "zod";
import { describeShape } from "../../core/config/describe.ts";

/** One option as a table shows it. */
export interface OptionRow {
  /** `otlp.headers`, `prices.*.input`. */
  readonly path: string;
  /** A JSON value in backticks, `none` for an empty one, `required`, or undefined where leaving it out has a meaning of its own. */
  readonly fallback: string | undefined;
  /** What it accepts, in words. */
  readonly takes: string;
}

/** The options of a schema, those inside objects by their paths. */
export function optionRows(schema: z.ZodType, prefix = ""): OptionRow[] {
  const plain = unwrap(schema);
  if (plain instanceof z.ZodObject) {
    return Object.entries(plain.shape).flatMap(([name, inner]) =>
      optionRows(inner as z.ZodType, prefix === "" ? name : `${prefix}.${name}`),
    );
  }
  if (plain instanceof z.ZodRecord && unwrap(plain.valueType) instanceof z.ZodObject)
    return optionRows(plain.valueType as z.ZodType, `${prefix}.*`);
  const takes = describeShape(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" })) ?? "any value";
  return [{ path: prefix, fallback: fallbackOf(schema), takes }];
}

function unwrap(schema: unknown): unknown {
  const wrapped = schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional;
  return wrapped ? unwrap(schema.unwrap()) : schema;
}

function fallbackOf(schema: z.ZodType): string | undefined {
  const { success, data } = schema.safeParse(undefined);
  if (!success) return "required";
  if (data === undefined) return undefined;
  return typeof data === "object" && data !== null && Object.keys(data).length === 0 ? "none" : `\`${JSON.stringify(data)}\``;
}
