import { randomUUID } from "node:crypto";

/** An identifier where a provider sent none and the client's format needs one: `call_5f0c…`. */
export function makeId(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll("-", "")}`;
}

/** `created`, which only OpenAI's format has: Unix seconds. */
export function createdNow(): number {
  return Math.floor(Date.now() / 1000);
}
