import { ConfigError, type Mistake } from "./mistakes.ts";
import { nearest } from "./nearest.ts";
import { Secret } from "./secret.ts";

// What a missing variable reads as while the rest of the config is still checked; see `isMissing`.
const MISSING = "\u0000missing\u0000";

let collected: Mistake[] | undefined;

/** Runs `load` and adds to `mistakes` whatever the `env` calls inside it could not give. Loads must not overlap. */
export async function collectEnv<T>(mistakes: Mistake[], load: () => Promise<T>): Promise<T> {
  collected = mistakes;
  try {
    return await load();
  } finally {
    collected = undefined;
  }
}

/** Whether a value only stands in for a variable that is already reported as missing. */
export function isMissing(value: unknown): boolean {
  if (Secret.is(value)) return isMissing(value.reveal());
  return typeof value === "string" ? value.includes(MISSING) : Number.isNaN(value);
}

/** An empty variable counts as absent: that is how compose files and shells spell "not set". */
function read(name: string): string | undefined {
  return process.env[name] || undefined;
}

function report(mistake: Mistake): void {
  if (!collected) throw new ConfigError([mistake]);
  if (!collected.some(({ path }) => path === mistake.path)) collected.push(mistake);
}

function reportMissing(name: string, expected: string): void {
  const similar = nearest(
    name,
    Object.keys(process.env).filter((key) => key !== name),
  );
  report({
    path: `env("${name}")`,
    expected,
    got: process.env[name] === undefined ? "no such environment variable" : "an empty environment variable",
    hint: similar ? `${similar} is set; did you mean that one?` : `set ${name} in the environment, or give env a default`,
  });
}

function text(name: string, fallback?: string): string {
  const value = read(name) ?? fallback;
  if (value !== undefined) return value;
  reportMissing(name, "a text");
  return MISSING;
}

function parsed<T>(name: string, fallback: T | undefined, standIn: T, expected: string, parse: (text: string) => T | undefined): T {
  const value = read(name);
  if (value === undefined) {
    if (fallback !== undefined) return fallback;
    reportMissing(name, expected);
    return standIn;
  }
  const result = parse(value.trim());
  if (result !== undefined) return result;
  report({ path: `env("${name}")`, expected, got: JSON.stringify(value) });
  return standIn;
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...["true", "1", "yes", "on"].map((word) => [word, true] as const),
  ...["false", "0", "no", "off"].map((word) => [word, false] as const),
]);

export interface Env {
  /** A text. */
  (name: string, fallback?: string): string;
  /** A text that is never shown. */
  secret(name: string, fallback?: string): Secret;
  /** A whole number. */
  int(name: string, fallback?: number): number;
  /** `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`. */
  bool(name: string, fallback?: boolean): boolean;
  /** Whether it is set, and not empty. */
  has(name: string): boolean;
}

/**
 * Reads an environment variable while the config file loads. A variable that is missing (or empty) and has no default,
 * or does not parse, does not throw: all of them are reported together with the config's other mistakes.
 */
export const env: Env = Object.assign(text, {
  secret(name: string, fallback?: string): Secret {
    const value = read(name) ?? fallback;
    if (value === undefined) reportMissing(name, "a secret");
    return new Secret(value ?? MISSING);
  },

  int: (name: string, fallback?: number): number =>
    parsed(name, fallback, Number.NaN, "a whole number", (value) => {
      const number = /^[+-]?\d+$/.test(value) ? Number(value) : Number.NaN;
      return Number.isSafeInteger(number) ? number : undefined;
    }),

  bool: (name: string, fallback?: boolean): boolean =>
    parsed(name, fallback, false, "true or false", (value) => BOOLEANS.get(value.toLowerCase())),

  has: (name: string): boolean => read(name) !== undefined,
});
