import type { z } from "zod";
import { maskText } from "../services/redact.ts";
import { isPlain } from "./plain.ts";
import { isSensitive, Secret } from "./secret.ts";

/** A schema as JSON Schema, which says in data what zod says in code. */
export type Shape = z.core.JSONSchema.BaseSchema;

const MAX_LENGTH = 80;

const FORMATS: Readonly<Record<string, string>> = {
  email: "an e-mail address",
  uri: "a URL",
  "date-time": "a date and time such as 2026-01-31T12:00:00Z",
  date: "a date such as 2026-01-31",
  uuid: "a UUID",
  ipv4: "an IPv4 address",
  ipv6: "an IPv6 address",
};

/** What a schema accepts, in words; undefined when the schema is code that words cannot be got from. */
export function describeShape(shape: Shape): string | undefined {
  if (shape.title) return shape.title;
  if (shape.const !== undefined) return JSON.stringify(shape.const);
  if (shape.enum) return oneOf(shape.enum.map((value) => JSON.stringify(value)));
  const options = alternatives(shape);
  if (options.length > 0) {
    const words = options.map(describeShape);
    return words.includes(undefined) ? undefined : [...new Set(words)].join(", or ");
  }
  switch (shape.type) {
    case "integer":
      return `a whole number${range(shape)}`;
    case "number":
      return `a number${range(shape)}`;
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "string":
      return describeText(shape);
    case "array":
      return `a list${count(shape.minItems, shape.maxItems, "entry", "entries")}${of(shape.items)}`;
    case "object": {
      const keys = Object.keys(shape.properties ?? {});
      return keys.length > 0 ? `an object with ${keys.join(", ")}` : `an object${of(shape.additionalProperties)}`;
    }
    default:
      return undefined;
  }
}

/** A value in words: short, and never a secret. `key` is the name it stands under. */
export function describeValue(value: unknown, key = ""): string {
  if (value === undefined) return "nothing";
  if (Secret.is(value)) return "a secret";
  if (typeof value === "string") {
    if (isSensitive(key)) return value === "" ? "an empty text" : "a text (not shown)";
    const text = JSON.stringify(maskText(value));
    return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}… (${value.length} characters)` : text;
  }
  if (typeof value === "function") return value.name ? `the function ${value.name}` : "a function";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  if (value instanceof Promise) return "a promise";
  if (isPlain(value)) {
    const keys = Object.keys(value);
    return keys.length === 0 ? "an empty object" : `an object with ${keys.slice(0, 8).join(", ")}`;
  }
  if (typeof value === "object" && value !== null) return `a ${value.constructor.name}`;
  return String(value);
}

/** The alternatives of a union; empty for anything else. */
export function alternatives(shape: Shape): Shape[] {
  return [...(shape.anyOf ?? []), ...(shape.oneOf ?? [])].filter(isShape);
}

export function isShape(value: unknown): value is Shape {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(words: readonly string[]): string {
  if (words.length < 2) return words.join();
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function describeText(shape: Shape): string {
  const named = shape.format && FORMATS[shape.format];
  if (named) return named;
  if (shape.pattern) return `a text that matches /${shape.pattern}/`;
  if (shape.minLength === 1 && shape.maxLength === undefined) return "a text that is not empty";
  return `a text${count(shape.minLength, shape.maxLength, "character", "characters")}`;
}

function range({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Shape): string {
  // Zod states the safe-integer bounds of every whole number; they are no news to anyone.
  const low = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  const high = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (low !== undefined && high !== undefined) return ` from ${low} to ${high}`;
  const bounds = [
    low !== undefined && `at least ${low}`,
    high !== undefined && `at most ${high}`,
    exclusiveMinimum !== undefined && `more than ${exclusiveMinimum}`,
    exclusiveMaximum !== undefined && `less than ${exclusiveMaximum}`,
  ].filter((bound) => bound !== false);
  return bounds.length > 0 ? `, ${bounds.join(" and ")}` : "";
}

function count(low: number | undefined, high: number | undefined, one: string, many: string): string {
  if (low === undefined && high === undefined) return "";
  if (low === high || high === undefined) return ` of ${high === undefined ? "at least " : ""}${low} ${low === 1 ? one : many}`;
  return ` of ${low ?? 0} to ${high} ${many}`;
}

function of(inner: unknown): string {
  const words = isShape(inner) ? describeShape(inner) : undefined;
  return words ? `, each ${words}` : "";
}
