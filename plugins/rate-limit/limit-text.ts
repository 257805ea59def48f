import { didYouMean } from "headgate";

/** What a limit counts. */
export type Unit = "requests" | "tokens" | "in flight";
/** Whose calls it counts together. */
export const SCOPES = ["key", "user", "team", "ip", "model", "route", "everyone"] as const;
type Scope = (typeof SCOPES)[number];
export const WINDOWS = ["second", "minute", "hour", "day"] as const;
export type Window = (typeof WINDOWS)[number];

export interface Limit {
  readonly unit: Unit;
  readonly amount: number;
  /** Length of the window in ms; 0 for what is in flight. */
  readonly windowMs: number;
  readonly per: Scope;
  /** Most within a sixteenth of the window; none stands for `amount`. */
  readonly burst?: number | undefined;
}

export const WINDOW_MS: Readonly<Record<Window, number>> = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const NOUNS = ["requests", "tokens", "request", "token"];
const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6 };
const COUNT = String.raw`(\d[\d_]*)\s*([km]?)\b`;
const PER = String.raw`(?:\s+per\s+(\w+))?`;
const RATE = new RegExp(String.raw`^${COUNT}\s*([a-z]*)\s*/\s*(\w+)${PER}(?:\s+burst\s+${COUNT})?$`, "i");
const IN_FLIGHT = new RegExp(String.raw`^${COUNT}\s+in\s+flight${PER}$`, "i");

/**
 * Reads `"100/minute"` (requests per key), `"50k tokens/minute per user burst 10k"`, `"8 in flight per key"`. For anything
 * else a text says what is wrong, as far as that can be told.
 */
export function parseLimit(text: string): Limit | string {
  const rate = RATE.exec(text.trim());
  if (rate) {
    const [, digits = "", factor = "", noun = "", window = "", per = "key", burst, burstFactor = ""] = rate;
    const unit = NOUNS.includes(noun.toLowerCase()) || noun === "" ? (/^token/i.test(noun) ? "tokens" : "requests") : undefined;
    if (!unit) return unknown("nothing to count called", noun, NOUNS.slice(0, 2));
    const windowName = WINDOWS.find((name) => name === window.toLowerCase());
    if (!windowName) return unknown("no window", window, WINDOWS);
    return checked({
      unit,
      amount: count(digits, factor),
      windowMs: WINDOW_MS[windowName],
      per,
      burst: burst === undefined ? undefined : count(burst, burstFactor),
    });
  }
  const flight = IN_FLIGHT.exec(text.trim());
  if (flight) {
    const [, digits = "", factor = "", per = "key"] = flight;
    return checked({ unit: "in flight", amount: count(digits, factor), windowMs: 0, per });
  }
  return "";
}

function unknown(what: string, word: string, words: readonly string[]): string {
  return `there is ${what} "${word}"; ${didYouMean(word, words) ?? `there are ${words.join(", ")}`}`;
}

function count(digits: string, factor: string): number {
  return Number(digits.replaceAll("_", "")) * (FACTORS[factor.toLowerCase()] as number);
}

/** A limit whose parts fit together, or what does not. */
export function checked(limit: Omit<Limit, "per"> & { readonly per: string }): Limit | string {
  const { amount, burst } = limit;
  const per = SCOPES.find((known) => known === limit.per.toLowerCase());
  if (per === undefined) return unknown("no", limit.per, SCOPES);
  if (!Number.isSafeInteger(amount) || amount < 1) return "the number must be a whole one from 1 on";
  if (burst !== undefined && (!Number.isSafeInteger(burst) || burst < 1)) return "the burst must be a whole number from 1 on";
  if (burst !== undefined && burst > amount) return `a burst of ${burst} is more than the ${amount} of the whole window`;
  return { ...limit, per };
}

/** What holds when both do; they count the same calls. */
export function stricter(a: Limit, b: Limit): Limit {
  const amount = Math.min(a.amount, b.amount);
  const burst = Math.min(a.burst ?? amount, b.burst ?? amount, amount);
  return { ...a, amount, burst: burst < amount ? burst : undefined };
}

/** As people write it. */
export function showLimit({ unit, amount, windowMs, per }: Limit): string {
  const shown = amount.toLocaleString("en");
  if (unit === "in flight") return `${shown} in flight per ${per}`;
  const window = WINDOWS.find((name) => WINDOW_MS[name] === windowMs);
  return `${shown} ${unit}/${window} per ${per}`;
}
