import type { Clock, Timer } from "../clock.ts";
import { Arena, type Stored, sizeOf, storedAlone } from "./arena.ts";
import type { Segments } from "./segments.ts";
import type { Trouble } from "./trouble.ts";

/** What waits in memory for a file that takes it, and elsewhere in a spool. */
export const MOST = { records: 20_000, bytes: 16 * 1024 * 1024 } as const;
/** A line takes no more once it has so many characters. */
const LONG = 64 * 1024;
/** A file is left for a new one at this size, in bytes. */
const FULL = 4 * 1024 * 1024;
/** How long a write may wait for the disk, in ms. */
const SYNC = 100;
/** How long a patient record waits for others, in ms. */
const LINGER = 2;
/** For how long nothing is tried after a failure, in ms: all that waits is made ready each time. */
const RETRY = 1_000;

export interface WriterOptions {
  readonly segments: Segments;
  readonly clock: Clock;
  readonly trouble: Trouble;
  /** What each new file opens with. */
  carry?(): readonly string[];
  /** Offered what was gathered, in order; false when it need not wait in memory as well once a file has it. */
  onPiece(piece: Piece): boolean;
  /** Told that all of it has been written. */
  onWritten(): void;
  /** All that waits in memory, to be written again when the file it was in is gone. */
  held(): Piece[];
}

/** Records that were written together. */
export interface Piece extends Stored {
  records: number;
  /** Number of the file that they are in; undefined while none has taken them. */
  file: number | undefined;
  /** Whether it waits for its delivery in memory. */
  waits: boolean;
}

/** The writing side of a spool: records go into the files once a turn of the event loop, all of the turn at once. */
export class SpoolWriter {
  readonly #options: WriterOptions;
  readonly #arena = new Arena();
  /** What this turn has added, and how many characters that is. */
  #turn: string[] = [];
  #characters = 0;
  #unwritten: Piece[] = [];
  /** Whether the new file still lacks what it has to open with; until then the older ones are needed. */
  #carryDue = false;
  #broken = false;
  #failedAt = Number.NEGATIVE_INFINITY;
  #writing = false;
  #closed = false;
  #lingering: Timer | undefined;
  #syncing: Timer | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#try(() => options.segments.rotate());
  }

  /** Whether the last attempt failed. */
  get broken(): boolean {
    return this.#broken;
  }

  get unwritten(): readonly Piece[] {
    return this.#unwritten;
  }

  /** Records that are not in a piece yet. */
  get gathered(): number {
    return this.#turn.length;
  }

  /** Whether a record of this length can wait here for its writing, which is done now when it could not. */
  hasRoom(length: number): boolean {
    return this.#fits(length) || (this.flush() && this.#fits(length));
  }

  #fits(length: number): boolean {
    let records = this.gathered;
    let bytes = length + this.#characters;
    for (const piece of this.#unwritten) {
      records += piece.records;
      bytes += sizeOf(piece);
    }
    return records < MOST.records && bytes <= MOST.bytes;
  }

  add(record: string, patient?: "patient"): void {
    this.#turn.push(record);
    this.#characters += record.length;
    if (this.#characters > LONG) this.#gather();
    if (patient) {
      this.#lingering ??= this.#options.clock.timer(LINGER, () => {
        this.#lingering = undefined;
        this.flush();
      });
      return;
    }
    if (this.#writing) return;
    this.#writing = true;
    void this.#options.clock.turn().then(() => {
      this.#writing = false;
      if (!this.#closed) this.flush();
    });
  }

  /**
   * Hands all that waits to the operating system, into a new file when the old one is full or `fresh` asks for it. False when
   * that failed: what could not be written stays, and is tried again with the next.
   */
  flush(fresh = false): boolean {
    const { segments, carry } = this.#options;
    this.#gather();
    if (this.#unwritten.length === 0 && !this.#carryDue && !fresh) return true;
    if (this.#broken && !fresh && this.#options.clock.monotonic() - this.#failedAt < RETRY) return false;
    return this.#try(() => {
      if (fresh || segments.size > FULL) {
        segments.rotate();
        this.#carryDue = carry !== undefined;
      }
      const carried = (this.#carryDue && carry?.()) || [];
      if (carried.length > 0) segments.write(storedAlone(carried));
      this.#carryDue = false;
      for (let piece = this.#unwritten[0]; piece; piece = this.#unwritten[0]) {
        segments.write(piece);
        this.#unwritten.shift();
        piece.file = segments.number;
        if (!piece.waits) this.#arena.release(piece);
      }
      this.#options.onWritten();
      this.#syncing ??= this.#options.clock.timer(SYNC, () => {
        this.#syncing = undefined;
        this.#sync();
      });
    });
  }

  /** It has been delivered: it needs neither memory nor a file any more. */
  forget(piece: Piece): void {
    if (piece.file === undefined) this.#unwritten = this.#unwritten.filter((each) => each !== piece);
    this.#arena.release(piece);
  }

  /** The files before this number are not needed any more. */
  dropBefore(number: number): void {
    if (!this.#carryDue) this.#options.segments.dropBefore(number);
  }

  /** Writes what is left, and ends; `done` says that nothing is needed any more. */
  close(done: boolean): void {
    this.#closed = true;
    this.#lingering?.cancel();
    this.#failedAt = Number.NEGATIVE_INFINITY;
    if (!done) this.flush();
    this.#syncing?.cancel();
    this.#options.segments.close(done);
  }

  #sync(): void {
    const { segments, held, trouble, carry } = this.#options;
    if (segments.sync()) return;
    trouble.failed(new Error("the file being written was removed; going on in a new one"));
    this.#carryDue = carry !== undefined;
    this.#gather();
    this.#unwritten = held();
    for (const piece of this.#unwritten) piece.file = undefined;
    this.flush();
  }

  /** Makes what was added one line, whose checksum and text are made at once: most of what a record costs is the asking. */
  #gather(): void {
    const records = this.#turn;
    if (records.length === 0) return;
    this.#turn = [];
    this.#characters = 0;
    const { slab, from, to } = this.#arena.store(records);
    const piece: Piece = { slab, from, to, records: records.length, file: undefined, waits: false };
    this.#unwritten.push(piece);
    piece.waits = this.#options.onPiece(piece);
  }

  #try(work: () => void): boolean {
    try {
      work();
      this.#broken = false;
    } catch (error) {
      this.#broken = true;
      this.#failedAt = this.#options.clock.monotonic();
      this.#options.trouble.failed(error);
    }
    return !this.#broken;
  }
}
