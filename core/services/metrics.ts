import { token } from "../di.ts";
import { createMetrics } from "./metrics-registry.ts";

/** Label values by name; an instrument reads those it declares, and takes a missing one as empty. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  /** Ignores what is not a finite number above zero. */
  add(amount: number, labels?: Labels): void;
}

export interface UpDownCounter {
  /** Ignores what is not finite. */
  add(amount: number, labels?: Labels): void;
}

export interface Histogram {
  /** Ignores what is not finite. */
  record(value: number, labels?: Labels): void;
}

export interface InstrumentOptions {
  /** What it counts, one sentence. */
  help: string;
  /** Label names, in order. */
  labels?: readonly string[];
  /** Most label sets kept; whatever exceeds them is recorded together as `other`. 200 by default. */
  limit?: number;
  /** UCUM unit (`s`, `By`, `{token}`), for readers that take one; a `headgate_` name says it as well. */
  unit?: string;
}

export interface CounterOptions extends InstrumentOptions {
  /** What is added up is divided by this when read, so that integers such as nano-dollars stay exact. 1 by default. */
  divisor?: number;
}

/**
 * Where the core and plugins record measurements. The `metrics` plugin reads it out; without that plugin it costs next
 * to nothing. Asking for the same name and shape again answers the same instrument, so counts survive a reload; another
 * shape under a known name throws.
 */
export interface Metrics {
  /** Only ever grows. */
  counter(name: string, options: CounterOptions): Counter;
  /** Goes up and down, such as what is in flight; read as a gauge. */
  upDownCounter(name: string, options: InstrumentOptions): UpDownCounter;
  /** `buckets`: ascending upper bounds, inclusive, in the base unit. */
  histogram(name: string, options: InstrumentOptions & { buckets: readonly number[] }): Histogram;
  /**
   * `read` is called at collection; a name given again reads from the newest. Answers what removes it. NaN is shown for a
   * `read` that throws.
   */
  gauge(name: string, options: InstrumentOptions, read: () => number | Iterable<readonly [Labels, number]>): () => void;
  /** Everything recorded so far; cumulative. */
  collect(): Iterable<Measurement>;
}

export type Measurement = { readonly name: string; readonly help: string; readonly unit: string } & (
  | { readonly kind: "counter" | "gauge"; readonly points: readonly { readonly labels: Labels; readonly value: number }[] }
  | {
      readonly kind: "histogram";
      readonly buckets: readonly number[];
      /** `counts` has one more entry than `buckets`: the last holds what exceeds them all. */
      readonly points: readonly {
        readonly labels: Labels;
        readonly counts: readonly number[];
        readonly sum: number;
        readonly count: number;
      }[];
    }
);

export const Metrics = token<Metrics>("metrics", createMetrics);
