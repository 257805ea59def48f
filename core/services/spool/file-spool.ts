import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import type { Spool, SpoolOptions } from "../spool.ts";
import { SegmentReader } from "./backlog.ts";
import { writeLine } from "./segment.ts";
import type { Segment, Segments } from "./segments.ts";

/** Held in memory for delivery; what comes beyond is read back from the files when its turn comes. */
const MOST = { records: 20_000, characters: 16 * 1024 * 1024 } as const;
const BATCH = { records: 2_000, characters: 2 * 1024 * 1024 } as const;
/** A file is left for a new one at this size, or, once all in it is delivered, at the smaller one; in bytes. */
const FULL = 4 * 1024 * 1024;
const DONE = 64 * 1024;
/** In ms: how long records are gathered for a delivery, pauses after one that failed, and how long a write may wait for the disk. */
const GATHER = 250;
const PAUSE = { first: 100, longest: 5_000 } as const;
const SYNC = 100;
const LOG_EVERY = 30_000;

export interface FileSpoolServices {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface Waiting {
  readonly record: string;
  /** The file it is in. */
  readonly segment: Segment;
}

/**
 * One spool over its files. Records are delivered from memory; the files are for what memory forgets with the process, and
 * for what it has no room for. Order is kept through all of it.
 */
export class FileSpool implements Spool {
  readonly #options: SpoolOptions;
  readonly #services: FileSpoolServices;
  readonly #segments: Segments;
  readonly #counters: ReturnType<typeof counters>;
  /** In the order of their delivery; `#head` is the first. */
  #queue: Waiting[] = [];
  #head = 0;
  #characters = 0;
  /** Where reading goes on, when not all that waits is in memory. */
  #behind: { readonly segment: Segment; readonly reader: SegmentReader } | undefined;
  /** Records behind `#behind`, as far as they were counted. */
  #unread = 0;
  /** Not written yet. */
  #lines: string[] = [];
  #lineCharacters = 0;
  #writing: NodeJS.Immediate | undefined;
  #syncing: Timer | undefined;
  #delivering: Promise<void> | undefined;
  #next: Timer | undefined;
  #failures = 0;
  #broken = false;
  #loggedAt = Number.NEGATIVE_INFINITY;
  #appended = 0;
  #delivered = 0;
  #closed = false;
  #waiters: { readonly until: number; readonly resolve: () => void }[] = [];

  constructor(options: SpoolOptions, segments: Segments, services: FileSpoolServices) {
    this.#options = options;
    this.#segments = segments;
    this.#services = services;
    this.#counters = counters(services.metrics);
    const { oldest } = segments;
    try {
      segments.rotate();
    } catch (error) {
      this.#failed(error);
    }
    if (!oldest) return;
    this.#behind = { segment: oldest, reader: new SegmentReader(oldest.path) };
    this.#schedule(0);
  }

  get backlog(): number {
    return this.#queue.length - this.#head + this.#unread;
  }

  append(record: string): boolean {
    if (this.#closed) return false;
    if (this.#overfull(record)) {
      this.#counters.dropped.add(1, { spool: this.#options.name });
      this.#complain(new Error("there is no room for more records"));
      return false;
    }
    this.#appended += 1;
    if (this.#behind) this.#unread += 1;
    else this.#enqueue(record, this.#segments.active);
    this.#lines.push(record);
    this.#lineCharacters += record.length;
    this.#writing ??= setImmediate(() => {
      this.#writing = undefined;
      this.#write();
    });
    this.#schedule(GATHER);
    return !this.#broken;
  }

  async drained(ms: number): Promise<boolean> {
    if (this.backlog === 0 && !this.#behind) return true;
    this.#next?.cancel();
    this.#next = undefined;
    this.#schedule(0);
    let late = false;
    await new Promise<void>((resolve) => {
      const timer = this.#services.clock.timer(ms, () => {
        late = true;
        resolve();
      });
      this.#waiters.push({
        until: this.#appended,
        resolve: () => {
          timer.cancel();
          resolve();
        },
      });
    });
    return !late;
  }

  async close(ms: number): Promise<void> {
    this.#write();
    await this.drained(ms);
    this.#closed = true;
    this.#next?.cancel();
    this.#syncing?.cancel();
    if (this.#writing) clearImmediate(this.#writing);
    await this.#delivering;
    this.#write();
    if (this.backlog === 0 && !this.#behind) this.#segments.clear();
    else this.#segments.close();
  }

  /** True when a record has neither room in memory nor a file to go to. */
  #overfull(record: string): boolean {
    const full = this.#queue.length - this.#head >= MOST.records || this.#characters + record.length > MOST.characters;
    if (!this.#behind && full) {
      this.#write();
      if (this.#lines.length > 0) return true;
      this.#behind = { segment: this.#segments.active, reader: new SegmentReader(this.#segments.active.path, this.#segments.size) };
    }
    return this.#lines.length >= MOST.records || this.#lineCharacters + record.length > MOST.characters;
  }

  #enqueue(record: string, segment: Segment): void {
    this.#queue.push({ record, segment });
    this.#characters += record.length;
  }

  /** Hands all that waits for it to the operating system. What could not be written stays, and is tried again with the next. */
  #write(): void {
    if (this.#lines.length === 0) return;
    try {
      if (this.#segments.size > FULL) this.#rotate();
      this.#segments.write(this.#lines.map(writeLine).join(""));
      this.#lines = [];
      this.#lineCharacters = 0;
      this.#broken = false;
      this.#syncing ??= this.#services.clock.timer(SYNC, () => {
        this.#syncing = undefined;
        this.#segments.sync((error) => this.#failed(error));
      });
    } catch (error) {
      this.#failed(error);
    }
  }

  #rotate(): void {
    this.#segments.rotate();
    const carried = this.#options.carry?.() ?? [];
    if (carried.length > 0) this.#segments.write(carried.map(writeLine).join(""));
  }

  #failed(error: unknown): void {
    this.#broken = true;
    this.#counters.errors.add(1, { spool: this.#options.name });
    this.#complain(error);
  }

  #complain(error: unknown): void {
    const now = this.#services.clock.monotonic();
    if (now - this.#loggedAt < LOG_EVERY) return;
    this.#loggedAt = now;
    this.#services.logger.error({ err: error, spool: this.#options.name, backlog: this.backlog }, "a spool is in trouble");
  }

  #schedule(ms: number): void {
    if (this.#closed || this.#next || this.#delivering) return;
    this.#next = this.#services.clock.timer(ms, () => {
      this.#next = undefined;
      this.#delivering = this.#deliver().finally(() => {
        this.#delivering = undefined;
        if (this.#behind || this.#head < this.#queue.length) this.#schedule(this.#failures === 0 ? 0 : this.#pause());
      });
    });
  }

  #pause(): number {
    return Math.min(PAUSE.first * 2 ** (this.#failures - 1), PAUSE.longest);
  }

  async #deliver(): Promise<void> {
    try {
      this.#refill();
      const batch = this.#batch();
      if (batch.length > 0) await this.#options.deliver(batch);
      this.#failures = 0;
      this.#forget(batch.length);
    } catch (error) {
      this.#failures += 1;
      this.#complain(error);
    }
  }

  #batch(): string[] {
    const batch: string[] = [];
    let characters = 0;
    const most = this.#options.batch ?? BATCH.records;
    for (let at = this.#head; at < this.#queue.length && batch.length < most && characters < BATCH.characters; at++) {
      const { record } = this.#queue[at] as Waiting;
      batch.push(record);
      characters += record.length;
    }
    return batch;
  }

  /** Reads on from the files until there is something in memory, or nothing left in them. */
  #refill(): void {
    while (this.#behind && this.#head === this.#queue.length) {
      const { segment, reader } = this.#behind;
      if (segment === this.#segments.active) this.#write();
      const { records, bad, torn } = reader.next();
      if (bad > 0 || (torn && segment !== this.#segments.active)) this.#lost(bad + (torn ? 1 : 0));
      for (const record of records) this.#enqueue(record, segment);
      this.#unread = Math.max(0, this.#unread - records.length);
      if (records.length > 0) return;
      const next = this.#segments.after(segment);
      if (next) {
        this.#behind = { segment: next, reader: new SegmentReader(next.path) };
        continue;
      }
      // All that was written has been read. What no file would take goes on from memory.
      this.#behind = undefined;
      this.#unread = 0;
      for (const record of this.#lines) this.#enqueue(record, segment);
    }
  }

  #lost(lines: number): void {
    this.#counters.torn.add(lines, { spool: this.#options.name });
    this.#services.logger.warn({ spool: this.#options.name, lines }, "a spool had lines that were not whole; they are left out");
  }

  #forget(count: number): void {
    for (let at = this.#head; at < this.#head + count; at++) this.#characters -= (this.#queue[at] as Waiting).record.length;
    this.#head += count;
    this.#delivered += count;
    if (this.#head > 1000 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    const first = this.#queue[this.#head];
    this.#segments.dropBefore(first?.segment ?? this.#behind?.segment ?? this.#segments.active);
    if (first || this.#behind) return;
    this.#allDelivered();
  }

  #allDelivered(): void {
    // What no file would take has been delivered without one.
    if (this.#broken) {
      this.#lines = [];
      this.#lineCharacters = 0;
    }
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    if (this.#segments.size < DONE) return;
    try {
      this.#rotate();
      this.#segments.dropBefore(this.#segments.active);
    } catch (error) {
      this.#failed(error);
    }
  }
}

function counters(metrics: Metrics) {
  const labels = ["spool"];
  return {
    errors: metrics.counter("headgate_spool_errors_total", { help: "Writes to a spool's files that failed.", labels }),
    dropped: metrics.counter("headgate_spool_dropped_total", { help: "Records that had neither a file nor room in memory.", labels }),
    torn: metrics.counter("headgate_spool_torn_total", { help: "Lines of a spool's files that were not whole.", labels }),
  };
}
