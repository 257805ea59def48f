import { inspect } from "node:util";
import { isSensitive, Secret } from "../config/secret.ts";

const MASK = "***";
const MAX_DEPTH = 6;
const MAX_ITEMS = 100;
const MAX_TEXT = 8192;
const MAX_CAUSES = 5;

/** One quick look that spares most texts the replacements. */
const SUSPECT = /:\/\/[^/@]*@|bearer |basic |(?:key|token|secret|password)=|sk-|hg_|gsk_|xai-|AIza|AKIA|eyJ/i;
// Each try ends at the first character its class leaves out, so no text takes more than linear time.
const CREDENTIALS: readonly (readonly [RegExp, string])[] = [
  [/:\/\/[^\s/@"\\]*@/g, `://${MASK}@`],
  [/\b(bearer|basic) +[\w+/=.~-]{6,}/gi, `$1 ${MASK}`],
  [/(key|token|secret|password)=[^\s"\\&]+/gi, `$1=${MASK}`],
  [/\b(?:sk-|hg_|gsk_|xai-|AIza|AKIA)[\w-]{8,}/g, MASK],
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+/g, MASK],
];

/** `text` with everything that looks like a credential masked. JSON text stays JSON: no pattern reaches across a quote. */
export function maskText(text: string): string {
  if (!SUSPECT.test(text)) return text;
  return CREDENTIALS.reduce((masked, [pattern, replacement]) => masked.replace(pattern, replacement), text);
}

/** The same of all names and texts in data that goes through JSON. */
export function maskJson<Data extends object>(data: Data): Data {
  return JSON.parse(maskText(JSON.stringify(data)));
}

/**
 * A copy of log fields that is safe and small enough to write: values under secret-looking keys are replaced at any
 * depth, errors become plain objects, and texts, lists and nesting are cut. Numbers and booleans are never secret, so
 * that `time_to_first_token` stays readable.
 */
export function redactFields(fields: object, stacks: boolean): Record<string, unknown> {
  return isHarmless(fields) ? (fields as Record<string, unknown>) : copyFields(fields, stacks, 0);
}

/** Nearly every line has a few short values under plain names, and needs no copy. */
function isHarmless(fields: object): boolean {
  let room = MAX_ITEMS;
  for (const key in fields) {
    const value: unknown = fields[key as keyof typeof fields];
    if (room-- === 0 || typeof value === "bigint" || (typeof value === "object" && value !== null)) return false;
    if (typeof value === "string" && (value.length > MAX_TEXT || isSensitive(key))) return false;
  }
  return true;
}

function copyFields(fields: object, stacks: boolean, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = Object.create(null);
  let room = MAX_ITEMS;
  for (const key of Object.keys(fields)) {
    if (room-- === 0) break;
    const value: unknown = fields[key as keyof typeof fields];
    const secret = (typeof value === "string" || (typeof value === "object" && value !== null)) && isSensitive(key);
    copy[key] = secret ? MASK : copyValue(value, stacks, depth);
  }
  return copy;
}

function copyValue(value: unknown, stacks: boolean, depth: number): unknown {
  if (typeof value === "string") return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}… (${value.length} characters)` : value;
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (Secret.is(value)) return MASK;
  if (value instanceof Error) return describeError(value, stacks);
  if (value instanceof Date) return value;
  if (depth === MAX_DEPTH) return "[deeper]";
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => copyValue(item, stacks, depth + 1));
  return copyFields(value instanceof Map ? Object.fromEntries(value) : value, stacks, depth + 1);
}

/** An error and its causes as `{ type, code, message, plugin, stack, cause }`; stacks only where asked for. */
function describeError(error: unknown, stacks: boolean, causes = MAX_CAUSES): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: typeof error === "string" ? error : inspect(error, { depth: 1 }) };
  const { code, plugin, quotes } = error as { code?: unknown; plugin?: unknown; quotes?: unknown };
  return {
    type: error.name,
    code,
    message: quotes === true ? "(repeats the request)" : copyValue(error.message, false, 0),
    plugin,
    // Its first line is the message.
    stack: stacks && quotes !== true ? error.stack : undefined,
    cause: error.cause === undefined || causes === 0 ? undefined : describeError(error.cause, stacks, causes - 1),
  };
}
