import type { JsonObject } from "./canonical.ts";
import { isObject } from "./checks.ts";

/**
 * Looks into JSON text without parsing it. In valid JSON a quote inside a string is always escaped, so `"key":` with bare
 * quotes can only be a key, whatever the strings around it say.
 */

/**
 * UTF-8 bytes of the string values that `opening` finds the beginnings of: a global pattern for a key, colon and quote
 * (`"text":"`). One pass of a pattern costs a fifth of parsing, several searches cost more than parsing.
 */
export function stringBytes(json: string, opening: RegExp): number {
  let bytes = 0;
  opening.lastIndex = 0;
  while (opening.test(json)) {
    const end = closingQuote(json, opening.lastIndex);
    bytes += literalBytes(json.slice(opening.lastIndex, end));
    opening.lastIndex = end;
  }
  return bytes;
}

function closingQuote(json: string, from: number): number {
  for (let end = json.indexOf('"', from); end !== -1; end = json.indexOf('"', end + 1)) {
    let slashes = 0;
    while (json[end - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return end;
  }
  return json.length;
}

function literalBytes(literal: string): number {
  if (!literal.includes("\\")) return Buffer.byteLength(literal);
  try {
    return Buffer.byteLength(JSON.parse(`"${literal}"`) as string);
  } catch {
    // Cut or invalid: an upper bound serves an estimate as well.
    return Buffer.byteLength(literal);
  }
}

/** The object that `json` is, or null for anything else. */
export function parseObject(json: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
