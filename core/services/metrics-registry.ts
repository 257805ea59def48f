import type { CounterOptions, Histogram, InstrumentOptions, Labels, Measurement, Metrics } from "./metrics.ts";

const DEFAULT_LIMIT = 200;
const NO_LABELS: Labels = {};

interface Instrument {
  /** Everything that has to agree when the same name is asked for again. */
  readonly shape: string;
  measure(): Measurement;
}

type Branch<Series> = Map<string, Branch<Series> | Series>;

/** The series of one instrument, found by walking one Map per label: once a series is there, nothing is built or allocated to find it. */
class SeriesTree<Series extends object> {
  readonly all: { readonly labels: Labels; readonly series: Series }[] = [];
  readonly #names: readonly string[];
  readonly #limit: number;
  readonly #make: () => Series;
  readonly #root: Branch<Series> | Series;
  #other: Series | undefined;

  constructor(options: InstrumentOptions, make: () => Series) {
    this.#names = options.labels ?? [];
    this.#limit = options.limit ?? DEFAULT_LIMIT;
    this.#make = make;
    this.#root = this.#names.length === 0 ? this.#keep(NO_LABELS) : new Map();
  }

  get(labels: Labels): Series {
    let node = this.#root;
    for (const name of this.#names) {
      const next = (node as Branch<Series>).get(labels[name] ?? "");
      if (!next) return this.#add(labels);
      node = next;
    }
    return node as Series;
  }

  #add(labels: Labels): Series {
    if (this.all.length >= this.#limit) {
      this.#other ??= this.#keep(Object.fromEntries(this.#names.map((name) => [name, "other"])));
      return this.#other;
    }
    const values = this.#names.map((name) => labels[name] ?? "");
    const last = values.pop() as string;
    let branch = this.#root as Branch<Series>;
    for (const value of values) {
      const next = (branch.get(value) as Branch<Series> | undefined) ?? new Map();
      branch.set(value, next);
      branch = next;
    }
    const series = this.#keep(Object.fromEntries(this.#names.map((name, i) => [name, values[i] ?? last])));
    branch.set(last, series);
    return series;
  }

  #keep(labels: Labels): Series {
    const series = this.#make();
    this.all.push({ labels, series });
    return series;
  }
}

class Sum implements Instrument {
  readonly shape: string;
  readonly #name: string;
  readonly #kind: "counter" | "gauge";
  readonly #options: CounterOptions;
  readonly #series: SeriesTree<{ value: number }>;

  constructor(name: string, kind: "counter" | "gauge", options: CounterOptions) {
    this.shape = shapeOf(kind, options, [options.divisor ?? 1]);
    this.#name = name;
    this.#kind = kind;
    this.#options = options;
    this.#series = new SeriesTree(options, () => ({ value: 0 }));
  }

  add(amount: number, labels: Labels = NO_LABELS): void {
    if (!Number.isFinite(amount) || (this.#kind === "counter" && amount <= 0)) return;
    this.#series.get(labels).value += amount;
  }

  measure(): Measurement {
    const { help, unit = "", divisor = 1 } = this.#options;
    const points = this.#series.all.map(({ labels, series }) => ({ labels, value: series.value / divisor }));
    return { name: this.#name, help, unit, kind: this.#kind, points };
  }
}

class Buckets implements Instrument, Histogram {
  readonly shape: string;
  readonly #name: string;
  readonly #options: InstrumentOptions;
  readonly #bounds: readonly number[];
  readonly #series: SeriesTree<{ counts: number[]; sum: number; count: number }>;

  constructor(name: string, options: InstrumentOptions & { buckets: readonly number[] }) {
    this.shape = shapeOf("histogram", options, options.buckets);
    this.#name = name;
    this.#options = options;
    this.#bounds = [...options.buckets];
    this.#series = new SeriesTree(options, () => ({ counts: new Array<number>(this.#bounds.length + 1).fill(0), sum: 0, count: 0 }));
  }

  record(value: number, labels: Labels = NO_LABELS): void {
    if (!Number.isFinite(value)) return;
    const series = this.#series.get(labels);
    let i = 0;
    while (i < this.#bounds.length && value > (this.#bounds[i] as number)) i++;
    series.counts[i] = (series.counts[i] as number) + 1;
    series.sum += value;
    series.count++;
  }

  measure(): Measurement {
    const { help, unit = "" } = this.#options;
    const points = this.#series.all.map(({ labels, series }) => ({ labels, ...series, counts: [...series.counts] }));
    return { name: this.#name, help, unit, kind: "histogram", buckets: this.#bounds, points };
  }
}

class Reading implements Instrument {
  readonly shape: string;
  readonly #name: string;
  readonly #options: InstrumentOptions;
  readonly #read: () => number | Iterable<readonly [Labels, number]>;

  constructor(name: string, options: InstrumentOptions, read: () => number | Iterable<readonly [Labels, number]>) {
    this.shape = shapeOf("reading", options);
    this.#name = name;
    this.#options = options;
    this.#read = read;
  }

  measure(): Measurement {
    const { help, unit = "", limit = DEFAULT_LIMIT } = this.#options;
    return { name: this.#name, help, unit, kind: "gauge", points: this.#points().slice(0, limit) };
  }

  #points(): { labels: Labels; value: number }[] {
    try {
      const read = this.#read();
      return typeof read === "number" ? [{ labels: NO_LABELS, value: read }] : Array.from(read, ([labels, value]) => ({ labels, value }));
    } catch {
      return [{ labels: NO_LABELS, value: Number.NaN }];
    }
  }
}

function shapeOf(kind: string, { labels = [] }: InstrumentOptions, numbers: readonly number[] = []): string {
  return `${kind}(${labels.join()})[${numbers.join()}]`;
}

/** The default registry: cumulative, in this process, bounded in the number of series. */
export function createMetrics(): Metrics {
  const instruments = new Map<string, Instrument>();

  function register<T extends Instrument>(name: string, fresh: T): T {
    const known = instruments.get(name);
    if (known && known.shape !== fresh.shape) {
      throw new Error(`the metric "${name}" is already registered as ${known.shape}, not as ${fresh.shape}`);
    }
    if (known && !(known instanceof Reading)) return known as T;
    instruments.set(name, fresh);
    return fresh;
  }

  return {
    counter: (name, options) => register(name, new Sum(name, "counter", options)),
    upDownCounter: (name, options) => register(name, new Sum(name, "gauge", options)),
    histogram: (name, options) => register(name, new Buckets(name, options)),
    gauge(name, options, read) {
      const reading = register(name, new Reading(name, options, read));
      return () => {
        if (instruments.get(name) === reading) instruments.delete(name);
      };
    },
    *collect() {
      for (const instrument of instruments.values()) yield instrument.measure();
    },
  };
}
