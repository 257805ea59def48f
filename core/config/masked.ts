import { maskText } from "../services/redact.ts";
import { isPlain } from "./plain.ts";
import { isSensitive, Secret } from "./secret.ts";

/**
 * A copy fit to print: secrets, texts under telling names and whatever looks like a credential read `***`; functions and
 * instances of classes show their names.
 */
export function masked(value: unknown, key = ""): unknown {
  if (Secret.is(value)) return String(value);
  if (typeof value === "string") return isSensitive(key) ? "***" : maskText(value);
  if (typeof value === "function") return `[function ${value.name || "anonymous"}]`;
  if (Array.isArray(value)) return value.map((item) => masked(item, key));
  if (typeof value !== "object" || value === null) return value;
  if (!isPlain(value)) return `[${value.constructor.name}]`;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, masked(item, name)]));
}
