import { SegmentReader } from "./backlog.ts";
import type { Segment, Segments } from "./segments.ts";
import type { Trouble } from "./trouble.ts";
import { MOST, type SpoolWriter } from "./writer.ts";

/** In characters. */
const BATCH = 2 * 1024 * 1024;
/** A file that could not be opened for one of these reasons is as good as ever later. */
const PASSING = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);

interface Waiting {
  readonly record: string;
  /** Number of the file it is in, or of an earlier one. */
  readonly file: number;
}

/** What waits for its delivery, in order: the first of it in memory, and what memory has no room for in the files. */
export class DeliveryQueue {
  readonly #segments: Segments;
  readonly #writer: SpoolWriter;
  readonly #trouble: Trouble;
  /** `#head` is the first. */
  #queue: Waiting[] = [];
  #head = 0;
  #characters = 0;
  /** Where reading goes on, when not all that waits is in memory. */
  #behind: { readonly segment: Segment; readonly reader: SegmentReader } | undefined;
  /** Records not read yet. */
  #unread: number;
  /** Files below this number are of earlier processes. */
  readonly #own: number;
  /** Whether a record of this process has been delivered. */
  #begun = false;
  /** Records that were ever taken into memory, and of those the delivered ones. */
  #entered = 0;
  #left = 0;

  /** Begins with `oldest`, the first of the files that hold `unread` records of an earlier process. */
  constructor(segments: Segments, writer: SpoolWriter, trouble: Trouble, oldest: Segment | undefined, unread: number) {
    this.#segments = segments;
    this.#writer = writer;
    this.#trouble = trouble;
    this.#behind = oldest && { segment: oldest, reader: new SegmentReader(oldest.path) };
    this.#unread = unread;
    this.#own = segments.number;
  }

  get size(): number {
    return this.#inMemory + this.#unread;
  }

  get empty(): boolean {
    return this.#inMemory === 0 && !this.#behind;
  }

  get #inMemory(): number {
    return this.#queue.length - this.#head;
  }

  /** False when there is no room for it, in memory or the files. */
  add(record: string, patient?: "patient"): boolean {
    if (!this.#behind && (this.#inMemory >= MOST.records || this.#characters + record.length > MOST.characters)) {
      const { active, size } = this.#writer.flush() ? this.#segments : { active: undefined, size: 0 };
      if (!active) return false;
      this.#behind = { segment: active, reader: new SegmentReader(active.path, size) };
    }
    if (!this.#writer.hasRoom(record.length)) return false;
    if (this.#behind) this.#unread += 1;
    else this.#enter(record, this.#segments.number);
    this.#writer.add(record, patient);
    return true;
  }

  /** All that is in memory, in order. */
  held(): string[] {
    const held = this.#queue.slice(this.#head).map(({ record }) => record);
    return this.#behind ? [...held, ...this.#writer.pending] : held;
  }

  /** Tells, whenever it is asked, whether all that was added before now has been delivered. */
  ticket(): () => boolean {
    const written = this.#writer.flush();
    const mark = { file: written ? this.#segments.number : Number.POSITIVE_INFINITY, at: this.#segments.size };
    let until: number | undefined;
    return () => {
      const { segment, reader } = this.#behind ?? {};
      const read = !segment || !reader || segment.number > mark.file || (segment.number === mark.file && reader.at >= mark.at);
      if (read) until ??= this.#entered;
      return until !== undefined && this.#left >= until;
    };
  }

  /** The next records to deliver, at most `most`; none when nothing waits. */
  batch(most: number): string[] {
    while (this.#behind && this.#inMemory === 0) this.#read(this.#behind);
    const batch: string[] = [];
    let characters = 0;
    for (let at = this.#head; at < this.#queue.length && batch.length < most && characters < BATCH; at++) {
      const { record } = this.#queue[at] as Waiting;
      batch.push(record);
      characters += record.length;
    }
    return batch;
  }

  /** The first `count` have been delivered. */
  forget(count: number): void {
    for (let at = this.#head; at < this.#head + count; at++) {
      const { record, file } = this.#queue[at] as Waiting;
      this.#characters -= record.length;
      this.#begun ||= file >= this.#own;
    }
    this.#head += count;
    this.#left += count;
    if (this.#head > 1000 || this.#inMemory === 0) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    // What no file would take and was delivered from memory needs none any more.
    if (!this.#behind) this.#writer.keepLast(this.#inMemory);
    // Who takes them may have what earlier processes left open in memory alone, until told that another has begun.
    if (this.#begun) this.#writer.dropBefore(this.#queue[this.#head]?.file ?? this.#behind?.segment.number ?? this.#segments.number);
  }

  #enter(record: string, file: number): void {
    this.#queue.push({ record, file });
    this.#characters += record.length;
    this.#entered += 1;
  }

  /** Reads on, up to the end of the file at most; at the end of the last, all is in memory again. */
  #read({ segment, reader }: { readonly segment: Segment; readonly reader: SegmentReader }): void {
    this.#writer.flush();
    const next = this.#segments.after(segment);
    try {
      const { records, bad, done, torn } = reader.next();
      const lost = bad + (torn && segment.number !== this.#segments.active?.number ? 1 : 0);
      if (lost > 0) this.#trouble.torn(lost);
      for (const record of records) this.#enter(record, segment.number);
      this.#unread = Math.max(0, this.#unread - records.length - bad);
      if (!done) return;
    } catch (error) {
      if (PASSING.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      this.#trouble.unreadable(segment.path, error);
      this.#segments.setAside(segment);
    }
    this.#behind = next && { segment: next, reader: new SegmentReader(next.path) };
    if (this.#behind) return;
    this.#unread = 0;
    for (const record of this.#writer.pending) this.#enter(record, this.#segments.number);
  }
}
