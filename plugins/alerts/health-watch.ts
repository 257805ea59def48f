import { moment } from "./alert.ts";
import type { HealthNews } from "./announcer.ts";
import { type Condition, LONGEST_MS, type Threshold } from "./conditions.ts";
import { HealthWindow, type Sample, type Totals } from "./health-window.ts";

/** So few calls say nothing about how things are. */
const FEWEST = 10;
/** A condition that holds goes on holding until its value is below this share of the limit, so that it does not flutter. */
const RELEASE = 0.8;
/** Open circuit breakers that are remembered. */
const MOST_BREAKERS = 1_000;
const NANO = 1_000_000_000;

/** Which conditions hold, judged by the calls and breakers of this instance. */
export class HealthWatch {
  readonly #thresholds: readonly Threshold[];
  readonly #breakers: boolean;
  readonly #window = new HealthWindow(LONGEST_MS);
  /** The facts of each condition that holds, by its text. */
  readonly #firing = new Map<string, HealthNews>();
  readonly #open = new Map<string, HealthNews>();

  constructor(conditions: readonly Condition[]) {
    this.#thresholds = conditions.filter((condition) => condition.metric !== "breaker_open");
    this.#breakers = conditions.length > this.#thresholds.length;
  }

  /** `now` is monotonic ms. */
  add(now: number, sample: Sample): void {
    this.#window.add(now, sample);
  }

  breakerOpened(subject: string, at: number, reason: string): void {
    if (!this.#breakers || this.#open.size >= MOST_BREAKERS) return;
    this.#open.set(subject, { rule: "breaker_open", subject, facts: { at: moment(at), value: reason } });
  }

  breakerClosed(subject: string): void {
    this.#open.delete(subject);
  }

  /** Everything that holds now. `now` is monotonic ms, `at` epoch ms. */
  look(now: number, at: number): HealthNews[] {
    for (const { text, metric, limit, windowMs } of this.#thresholds) {
      const value = measure(metric, this.#window.over(now, windowMs), windowMs);
      const before = this.#firing.get(text);
      const holds = value !== null && value > (before ? limit * RELEASE : limit);
      if (!holds) this.#firing.delete(text);
      else this.#firing.set(text, { rule: text, subject: "", facts: { at: before?.facts.at ?? moment(at), value: shown(metric, value) } });
    }
    return [...this.#firing.values(), ...this.#open.values()];
  }
}

function measure(metric: Threshold["metric"], totals: Totals, windowMs: number): number | null {
  if (metric === "spend_per_hour") return (totals.cost / NANO) * (LONGEST_MS / windowMs);
  if (metric === "p95_ms") return totals.latencies < FEWEST ? null : totals.percentile(0.95);
  return totals.calls < FEWEST ? null : totals.failed / totals.calls;
}

function shown(metric: Threshold["metric"], value: number): string {
  if (metric === "spend_per_hour") return `$${value.toFixed(2)} an hour`;
  return metric === "p95_ms" ? `${value} ms` : `${(value * 100).toFixed(1)}% of calls failed`;
}
