import { join, sizeOf, storedAlone } from "./arena.ts";
import { SegmentReader } from "./backlog.ts";
import { recordsOf } from "./segment.ts";
import type { Segment, Segments } from "./segments.ts";
import type { Trouble } from "./trouble.ts";
import { MOST, type Piece, type SpoolWriter } from "./writer.ts";

/** Of one delivery, in bytes. */
const BATCH = 2 * 1024 * 1024;
/** A file that could not be opened for one of these reasons is as good as ever later. */
const PASSING = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);

/** What waits for its delivery, in order: the first of it in memory, and what memory has no room for in the files. */
export class DeliveryQueue {
  readonly #segments: Segments;
  readonly #writer: SpoolWriter;
  readonly #trouble: Trouble;
  #pieces: Piece[] = [];
  #records = 0;
  #bytes = 0;
  /** Pieces, the first, that are being delivered. */
  #out = 0;
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

  /** What the writer gathers comes into memory too, unless reading is behind: then all of it goes through the files. */
  get #inMemory(): number {
    return this.#records + (this.#behind ? 0 : this.#writer.gathered);
  }

  /** False when there is no room for it, in memory or the files. */
  add(record: string, patient?: "patient"): boolean {
    if (!this.#behind && (this.#inMemory >= MOST.records || this.#bytes + record.length > MOST.bytes)) {
      const { active, size } = this.#writer.flush() ? this.#segments : { active: undefined, size: 0 };
      if (!active) return false;
      this.#behind = { segment: active, reader: new SegmentReader(active.path, size) };
    }
    if (!this.#writer.hasRoom(record.length)) return false;
    if (this.#behind) this.#unread += 1;
    this.#writer.add(record, patient);
    return true;
  }

  /** Takes what was gathered next, unless reading is behind: then it comes from the files. */
  enter(piece: Piece): boolean {
    if (this.#behind) return false;
    this.#keep(piece);
    return true;
  }

  /** The last piece becomes one with that before it: what comes turn by turn is few things for collections to move. */
  join(): void {
    const [piece, next] = this.#pieces.slice(Math.max(this.#out, this.#pieces.length - 2));
    if (!piece || !next || piece.file === undefined || piece.file !== next.file || !join(piece, next)) return;
    piece.records += next.records;
    this.#pieces.pop();
  }

  /** All that is in memory, in order. */
  held(): Piece[] {
    return this.#behind ? [...this.#pieces, ...this.#writer.unwritten] : [...this.#pieces];
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

  /** The next records to deliver: whole turns of them, until there are `enough`; none when nothing waits. */
  batch(enough: number): string[] {
    this.#writer.flush();
    while (this.#behind && this.#records === 0) this.#read(this.#behind);
    const batch: string[] = [];
    let bytes = 0;
    for (this.#out = 0; this.#out < this.#pieces.length && batch.length < enough && bytes < BATCH; this.#out++) {
      const piece = this.#pieces[this.#out] as Piece;
      for (const record of recordsOf(piece)) batch.push(record);
      bytes += sizeOf(piece);
    }
    return batch;
  }

  /** The last batch has been delivered. */
  forget(): void {
    const done = this.#pieces.slice(0, this.#out);
    this.#pieces = this.#pieces.slice(this.#out);
    this.#out = 0;
    for (const piece of done) {
      this.#begun ||= (piece.file ?? this.#own) >= this.#own;
      this.#records -= piece.records;
      this.#bytes -= sizeOf(piece);
      this.#left += piece.records;
      this.#writer.forget(piece);
    }
    // Who takes them may have what earlier processes left open in memory alone, until told that another has begun.
    if (this.#begun) this.#writer.dropBefore(this.#oldestNeeded());
  }

  #oldestNeeded(): number {
    const [first] = this.#pieces;
    if (first) return first.file ?? this.#segments.number;
    return this.#behind?.segment.number ?? this.#segments.number;
  }

  #keep(piece: Piece): void {
    this.#pieces.push(piece);
    this.#records += piece.records;
    this.#bytes += sizeOf(piece);
    this.#entered += piece.records;
  }

  /** Reads on, up to the end of the file at most; at the end of the last, all is in memory again. */
  #read({ segment, reader }: { readonly segment: Segment; readonly reader: SegmentReader }): void {
    this.#writer.flush();
    const next = this.#segments.after(segment);
    try {
      const { records, bad, done, torn } = reader.next();
      const lost = bad + (torn && segment.number !== this.#segments.active?.number ? 1 : 0);
      if (lost > 0) this.#trouble.torn(lost);
      if (records.length > 0) this.#keep({ ...storedAlone(records), records: records.length, file: segment.number, waits: true });
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
    for (const piece of this.#writer.unwritten) piece.waits = this.enter(piece);
  }
}
