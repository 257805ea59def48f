import { didYouMean } from "headgate";

/** What a condition can be about: how it is measured stands in the README. */
const METRICS = ["error_rate", "p95_ms", "spend_per_hour"] as const;
type Metric = (typeof METRICS)[number];

/** A condition on the calls of the last minutes, or on circuit breakers. */
export type Condition = { readonly text: string; readonly metric: "breaker_open" } | Threshold;

export interface Threshold {
  readonly text: string;
  readonly metric: Metric;
  /** Met above it: a share from 0 to 1, milliseconds, or dollars. */
  readonly limit: number;
  readonly windowMs: number;
}

const MINUTE = 60_000;
/** The longest time a condition may look back over. */
export const LONGEST_MS = 60 * MINUTE;
const DEFAULT_MS: Record<Metric, number> = { error_rate: 5 * MINUTE, p95_ms: 5 * MINUTE, spend_per_hour: LONGEST_MS };
const FORM = 'write it like "error_rate > 0.05 over 5 minutes"';

/** Reads `metric > number [over N minutes]` or `breaker_open`. Answers a sentence for people when it is something else. */
export function parseCondition(text: string): Condition | string {
  const [metric = "", operator, number, ...over] = text.trim().replace(">", " > ").split(/\s+/);
  if (metric === "breaker_open") return operator === undefined ? { text, metric } : "breaker_open stands alone";
  if (!isMetric(metric)) {
    const names = [...METRICS, "breaker_open"];
    return `there is no "${metric}"; ${didYouMean(metric, names) ?? `there are ${names.join(", ")}`}`;
  }
  if (operator !== ">") return `after ${metric} comes ">"; ${FORM}`;
  const limit = /^\d+(\.\d+)?$/.test(number ?? "") ? Number(number) : Number.NaN;
  if (!Number.isFinite(limit)) return `after ">" comes a number; ${FORM}`;
  if (metric === "error_rate" && limit >= 1) return "error_rate is a share from 0 to 1, so 5 % is 0.05";
  const windowMs = over.length === 0 ? DEFAULT_MS[metric] : windowOf(over);
  return typeof windowMs === "string" ? windowMs : { text, metric, limit, windowMs };
}

function isMetric(word: string): word is Metric {
  return (METRICS as readonly string[]).includes(word);
}

function windowOf([word = "", count = "", unit = "", ...rest]: readonly string[]): number | string {
  if (word !== "over") return `"${word}" is not understood; ${didYouMean(word, ["over"]) ?? FORM}`;
  if (rest.length > 0) return `"${rest.join(" ")}" is too much; ${FORM}`;
  const units = ["minute", "minutes"];
  if (!units.includes(unit)) return `the time is in minutes; ${didYouMean(unit, units) ?? FORM}`;
  const ms = /^\d{1,3}$/.test(count) ? Number(count) * MINUTE : 0;
  return ms >= MINUTE && ms <= LONGEST_MS ? ms : "the time is 1 to 60 minutes";
}
