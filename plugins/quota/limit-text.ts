/** What a limit counts: tokens (input and output together), money in nano-dollars, or calls that reached a provider. */
export type Unit = "tokens" | "money" | "requests";
/** How long it counts: a calendar day, week from Monday, or month; or for ever. */
export type Window = "day" | "week" | "month" | "once";

export interface Limit {
  readonly unit: Unit;
  readonly window: Window;
  /** Whole tokens, nano-dollars or calls. */
  readonly amount: number;
}

export const NANO = 1_000_000_000;
const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, b: 1e9 };

/** Reads `"100000 tokens/month"`, `"2M tokens/day"`, `"$20/month"`, `"500 requests/day"`, `"$5 once"`; undefined for anything else. */
export function parseLimit(text: string): Limit | undefined {
  const match = /^(\$?)\s*(\d[\d_]*(?:\.\d+)?)\s*([kmb]?)\s*(tokens?|requests?|)\s*(?:\/\s*(day|week|month)|\s(once))$/i.exec(text.trim());
  if (!match) return undefined;
  const [, dollar = "", digits = "", factor = "", noun = "", per, once] = match;
  if ((dollar === "$") === (noun !== "")) return undefined;
  const number = Number(digits.replaceAll("_", "")) * (FACTORS[factor.toLowerCase()] as number);
  const amount = dollar ? Math.round(number * NANO) : number;
  if (!Number.isSafeInteger(amount)) return undefined;
  const unit = dollar ? "money" : noun.toLowerCase().startsWith("token") ? "tokens" : "requests";
  return { unit, amount, window: (per ?? once ?? "once").toLowerCase() as Window };
}

/** An amount as people write it: `$1.25`, `1,200 tokens`. */
export function showAmount(unit: Unit, amount: number): string {
  if (unit === "money") return `$${(amount / NANO).toFixed(amount !== 0 && Math.abs(amount) < NANO / 100 ? 6 : 2)}`;
  return `${amount.toLocaleString("en")} ${amount === 1 ? unit.slice(0, -1) : unit}`;
}
