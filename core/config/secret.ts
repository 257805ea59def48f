import { z } from "zod";

const BRAND = Symbol.for("headgate:secret");
const MASK = "***";

/** A text that never shows itself: printed, logged or serialised it reads `***`. Only `reveal()` gives it away. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return MASK;
  }

  get [BRAND](): true {
    return true;
  }

  /** Unlike `instanceof`, also true for a secret made by another copy of this package. */
  static is(value: unknown): value is Secret {
    return typeof value === "object" && value !== null && BRAND in value;
  }
}

/** The schema of a secret option: takes a text or what `env.secret` returned, gives a {@link Secret}. */
export function secret() {
  return z
    .custom<string | Secret>((value) => Secret.is(value) || (typeof value === "string" && value !== ""), "not a secret")
    .transform((value) => (typeof value === "string" ? new Secret(value) : value))
    .meta({ title: 'a secret, such as env.secret("NAME")' });
}

const SENSITIVE = /(api[-_]?key|secret|password|passphrase|token|authorization|credentials?|cookie)$/i;
const URL_CREDENTIALS = /(\w+:\/\/)[^/?#\s]*@/g;

/** Whether a key's name alone says that its text is not for other eyes. */
export function isSensitive(key: string): boolean {
  return SENSITIVE.test(key);
}

/** A text without the credentials of the URLs in it. */
export function withoutCredentials(text: string): string {
  return text.replace(URL_CREDENTIALS, `$1${MASK}@`);
}

/** A copy fit to print: secrets, texts under telling names and credentials in URLs masked; functions by name, classes by theirs. */
export function masked(value: unknown, key = ""): unknown {
  if (Secret.is(value)) return MASK;
  if (typeof value === "string") return isSensitive(key) ? MASK : withoutCredentials(value);
  if (typeof value === "function") return `[function ${value.name || "anonymous"}]`;
  if (Array.isArray(value)) return value.map((item) => masked(item, key));
  if (typeof value !== "object" || value === null) return value;
  if (!isPlain(value)) return `[${value.constructor?.name ?? "object"}]`;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, masked(item, name)]));
}

/** Whether a value is an object literal: neither a list nor an instance of a class. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  // A literal from another realm has that realm's Object.prototype, whose own prototype is null as well.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
