/** What a limit counts. */
export type Unit = "requests" | "tokens" | "in flight";
/** Whose calls it counts together. */
export const SCOPES = ["key", "user", "team", "ip", "model", "route", "everyone"] as const;
export type Scope = (typeof SCOPES)[number];

export interface Limit {
  readonly unit: Unit;
  readonly amount: number;
  /** Length of the window in ms; 0 for what is in flight. */
  readonly windowMs: number;
  readonly per: Scope;
  /** Most within a sixteenth of the window; none stands for `amount`. */
  readonly burst?: number | undefined;
}

const WINDOWS: Readonly<Record<string, number>> = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6 };
const COUNT = String.raw`(\d[\d_]*)\s*([km]?)`;
const PER = String.raw`(?:\s+per\s+(\w+))?`;
const RATE = new RegExp(String.raw`^${COUNT}\s*(requests?|tokens?|)\s*/\s*(second|minute|hour|day)${PER}(?:\s+burst\s+${COUNT})?$`, "i");
const IN_FLIGHT = new RegExp(String.raw`^${COUNT}\s+in\s+flight${PER}$`, "i");

/** Reads `"100/minute"` (requests per key), `"50k tokens/minute per user burst 10k"`, `"8 in flight per key"`; undefined for anything else. */
export function parseLimit(text: string): Limit | undefined {
  const rate = RATE.exec(text.trim());
  if (rate) {
    const [, digits = "", factor = "", noun = "", window = "", per, burstDigits, burstFactor = ""] = rate;
    const burst = burstDigits === undefined ? undefined : count(burstDigits, burstFactor);
    const unit = noun.toLowerCase().startsWith("token") ? "tokens" : "requests";
    return checked({ unit, amount: count(digits, factor), windowMs: WINDOWS[window.toLowerCase()] as number, per: scope(per), burst });
  }
  const flight = IN_FLIGHT.exec(text.trim());
  if (!flight) return undefined;
  const [, digits = "", factor = "", per] = flight;
  return checked({ unit: "in flight", amount: count(digits, factor), windowMs: 0, per: scope(per) });
}

function count(digits: string, factor: string): number {
  return Number(digits.replaceAll("_", "")) * (FACTORS[factor.toLowerCase()] as number);
}

function scope(per = "key"): Scope | undefined {
  return SCOPES.find((known) => known === per.toLowerCase());
}

function checked(limit: Omit<Limit, "per"> & { per: Scope | undefined }): Limit | undefined {
  const { per, amount, burst } = limit;
  if (per === undefined || !Number.isSafeInteger(amount) || amount < 1) return undefined;
  if (burst !== undefined && (!Number.isSafeInteger(burst) || burst < 1 || burst > amount)) return undefined;
  return { ...limit, per };
}

/** As people write it. */
export function showLimit({ unit, amount, windowMs, per }: Limit): string {
  const shown = amount.toLocaleString("en");
  if (unit === "in flight") return `${shown} in flight per ${per}`;
  const window = Object.keys(WINDOWS).find((name) => WINDOWS[name] === windowMs);
  return `${shown} ${unit}/${window} per ${per}`;
}
