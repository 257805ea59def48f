/** How one call went. */
export interface Sample {
  /** Null for a call that ended by its client's doing, which is not counted among the calls. */
  readonly failed: boolean | null;
  /** Null for a call that says nothing about it. */
  readonly latencyMs: number | null;
  /** Nano-dollars. */
  readonly cost: number;
}

export interface Totals {
  readonly calls: number;
  readonly failed: number;
  /** Nano-dollars. */
  readonly cost: number;
  /** How many latencies there are. */
  readonly latencies: number;
  /** The latency that a share `q` of them does not exceed, in ms, at most a tenth too high. */
  percentile(q: number): number;
}

const BUCKET_MS = 15_000;
/** Upper bounds of latencies grow by this from 1 ms on; the last bin, above 15 minutes, takes all that is longer. */
const GROWTH = 1.1;
const BINS = 145;

interface Bucket {
  /** Which quarter of a minute it holds; older ones are as good as empty. */
  index: number;
  calls: number;
  failed: number;
  cost: number;
  readonly bins: Uint32Array;
}

/** Calls of the last minutes, counted in a ring of quarter minutes: what it holds does not grow with traffic. */
export class HealthWindow {
  readonly #ring: Bucket[];

  constructor(longestMs: number) {
    const length = Math.ceil(longestMs / BUCKET_MS) + 1;
    this.#ring = Array.from({ length }, () => ({ index: -1, calls: 0, failed: 0, cost: 0, bins: new Uint32Array(BINS) }));
  }

  /** `now` is monotonic ms, here and below. */
  add(now: number, { failed, latencyMs, cost }: Sample): void {
    const bucket = this.#bucket(Math.floor(now / BUCKET_MS));
    if (failed !== null) bucket.calls += 1;
    if (failed) bucket.failed += 1;
    bucket.cost += cost;
    if (latencyMs !== null) bucket.bins[binOf(latencyMs)] = (bucket.bins[binOf(latencyMs)] ?? 0) + 1;
  }

  /** What the last `ms` held, the quarter minute under way included. */
  over(now: number, ms: number): Totals {
    const last = Math.floor(now / BUCKET_MS);
    const first = last - Math.ceil(ms / BUCKET_MS);
    const bins = new Float64Array(BINS);
    const sum = { calls: 0, failed: 0, cost: 0, latencies: 0 };
    for (const bucket of this.#ring) {
      if (bucket.index <= first || bucket.index > last) continue;
      sum.calls += bucket.calls;
      sum.failed += bucket.failed;
      sum.cost += bucket.cost;
      for (const [bin, count] of bucket.bins.entries()) {
        bins[bin] = (bins[bin] ?? 0) + count;
        sum.latencies += count;
      }
    }
    return { ...sum, percentile: (q) => percentileOf(bins, sum.latencies * q) };
  }

  #bucket(index: number): Bucket {
    const bucket = this.#ring[index % this.#ring.length] as Bucket;
    if (bucket.index !== index) {
      Object.assign(bucket, { index, calls: 0, failed: 0, cost: 0 });
      bucket.bins.fill(0);
    }
    return bucket;
  }
}

function binOf(ms: number): number {
  return ms <= 1 ? 0 : Math.min(BINS - 1, Math.ceil(Math.log(ms) / Math.log(GROWTH)));
}

function percentileOf(bins: Float64Array, rank: number): number {
  let seen = 0;
  for (const [bin, count] of bins.entries()) {
    seen += count;
    if (seen >= rank && seen > 0) return Math.round(GROWTH ** bin);
  }
  return 0;
}
