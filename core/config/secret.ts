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

const SENSITIVE = /(api[-_]?key|private[-_]?key|secret|passwd|password|passphrase|token|authorization|credentials?|cookie)$/i;

/** Verdicts on the names seen first; log lines use the same few over and over. */
const verdicts = new Map<string, boolean>();
const VERDICTS_KEPT = 500;

/** Whether a key's name alone says that its text is not for other eyes. */
export function isSensitive(key: string): boolean {
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  const verdict = SENSITIVE.test(key);
  if (verdicts.size < VERDICTS_KEPT) verdicts.set(key, verdict);
  return verdict;
}
