import type { Clock, Timer } from "../clock.ts";
import { within } from "../deadline.ts";
import type { Spool, SpoolOptions } from "../spool.ts";
import { recordsIn } from "./backlog.ts";
import { DeliveryQueue } from "./queue.ts";
import type { Segments } from "./segments.ts";
import type { Trouble } from "./trouble.ts";
import { SpoolWriter } from "./writer.ts";

/** Records of one delivery. */
const BATCH = 2_000;
/** Once all in it is delivered, a file of this size, in bytes, is left for a new one, so that a restart does not deliver it again. */
const DONE = 64 * 1024;
/** How long records are gathered for a delivery, which costs the database nearly as much for few as for many; in ms. */
const GATHER = 1_000;
/** After a delivery that failed, in ms. */
const PAUSE = { first: 100, longest: 5_000 } as const;

/**
 * One spool over its files. Records are delivered from memory; the files are for what memory forgets with the process, and
 * for what it has no room for. Order is kept through all of it.
 */
export class FileSpool implements Spool {
  readonly #options: SpoolOptions;
  readonly #clock: Clock;
  readonly #trouble: Trouble;
  readonly #segments: Segments;
  readonly #writer: SpoolWriter;
  readonly #queue: DeliveryQueue;
  #waiters: { readonly done: () => boolean; readonly resolve: () => void }[] = [];
  #delivering: Promise<void> | undefined;
  #next: Timer | undefined;
  /** When that is, in monotonic ms. */
  #dueAt = 0;
  #failures = 0;
  #closed = false;
  #ended = false;

  constructor(options: SpoolOptions, segments: Segments, clock: Clock, trouble: Trouble) {
    this.#options = options;
    this.#clock = clock;
    this.#trouble = trouble;
    this.#segments = segments;
    const left = [...segments.all];
    const unread = left.reduce((sum, { path }) => sum + recordsIn(path), 0);
    const carry = options.carry && (() => options.carry?.() ?? []);
    this.#writer = new SpoolWriter({
      segments,
      clock,
      trouble,
      onPiece: (piece) => this.#queue.enter(piece),
      onWritten: () => this.#queue.join(),
      held: () => this.#queue.held(),
      ...(carry && { carry }),
    });
    this.#queue = new DeliveryQueue(segments, this.#writer, trouble, left[0], unread);
    if (left.length > 0) this.#schedule(0);
  }

  get backlog(): number {
    return this.#queue.size;
  }

  append(record: string, patient?: "patient"): boolean {
    if (this.#closed) return false;
    if (!this.#queue.add(record, patient)) {
      this.#trouble.dropped();
      return false;
    }
    const ms = this.#wait();
    if (!this.#next || ms === 0) this.#schedule(ms);
    return !this.#writer.broken;
  }

  async drained(ms: number): Promise<boolean> {
    if (this.#queue.empty) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { done: this.#queue.ticket(), resolve };
    this.#waiters.push(waiter);
    this.#schedule(0);
    const inTime = await this.#inTime(promise, ms);
    this.#waiters = this.#waiters.filter((each) => each !== waiter);
    return inTime;
  }

  async close(ms: number): Promise<void> {
    const end = this.#clock.monotonic() + ms;
    await this.drained(ms);
    this.#closed = true;
    this.#next?.cancel();
    if (this.#delivering) await this.#inTime(this.#delivering, end - this.#clock.monotonic());
    this.#ended = true;
    this.#writer.close(this.#queue.empty);
  }

  /** Begins a delivery in so many ms, or earlier where that was planned. */
  #schedule(ms: number): void {
    const at = this.#clock.monotonic() + ms;
    if (this.#closed || this.#delivering || (this.#next && this.#dueAt <= at)) return;
    this.#next?.cancel();
    this.#dueAt = at;
    this.#next = this.#clock.timer(ms, () => {
      this.#next = undefined;
      this.#delivering = this.#deliver().finally(() => {
        this.#delivering = undefined;
        if (!this.#queue.empty) this.#schedule(this.#wait());
      });
    });
  }

  #wait(): number {
    if (this.#failures > 0) return Math.min(PAUSE.first * 2 ** (this.#failures - 1), PAUSE.longest);
    return this.#waiters.length > 0 || this.#queue.size >= this.#enough ? 0 : GATHER;
  }

  get #enough(): number {
    return this.#options.batch ?? BATCH;
  }

  /** Keeps no hold of the records: who takes them lets go of them sooner than the delivery ends. */
  #offer(): Promise<void> | undefined {
    const batch = this.#queue.batch(this.#enough);
    return batch.length > 0 ? this.#options.deliver(batch) : undefined;
  }

  async #deliver(): Promise<void> {
    try {
      await this.#offer();
      // A delivery that outlived its spool: its files may be someone else's by now.
      if (this.#ended) return;
      this.#failures = 0;
      this.#queue.forget();
    } catch (error) {
      this.#failures += 1;
      this.#trouble.complain(error);
      return;
    }
    for (const { done, resolve } of this.#waiters) if (done()) resolve();
    if (!this.#queue.empty || this.#segments.size < DONE) return;
    this.#writer.flush(true);
    this.#writer.dropBefore(this.#segments.number);
  }

  /** Whether `work`, which does not reject, ends within `ms`. */
  #inTime(work: Promise<void>, ms: number): Promise<boolean> {
    return within(this.#clock, Math.max(0, ms), work).then(
      () => true,
      () => false,
    );
  }
}
