import { token } from "../di.ts";

/** Label values by name. A value outside the instrument's bound is recorded as `other`. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount: number, labels?: Labels): void;
}

export interface Histogram {
  record(value: number, labels?: Labels): void;
}

export interface InstrumentOptions {
  /** What it counts, one sentence. */
  help: string;
  /** Label names, in order. */
  labels?: readonly string[];
  /** Most label sets kept before further ones fold into `other`; 200 by default. */
  limit?: number;
}

/** Where the core and plugins record measurements. The `metrics` plugin reads it out; without that plugin it costs next to nothing. */
export interface Metrics {
  counter(name: string, options: InstrumentOptions): Counter;
  /** `buckets`: ascending upper bounds in the base unit. */
  histogram(name: string, options: InstrumentOptions & { buckets: readonly number[] }): Histogram;
  /** `read` is called at collection. */
  gauge(name: string, options: InstrumentOptions, read: () => number | Iterable<readonly [Labels, number]>): void;
  /** Everything recorded so far; cumulative. */
  collect(): Iterable<Measurement>;
}

export type Measurement = { readonly name: string; readonly help: string } & (
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

export const Metrics = token<Metrics>("metrics");
