import type { Clock, Timer } from "../clock.ts";
import { writeLine } from "./segment.ts";
import type { Segments } from "./segments.ts";
import type { Trouble } from "./trouble.ts";

/** What waits in memory for a file that takes it, and elsewhere in a spool. */
export const MOST = { records: 20_000, characters: 16 * 1024 * 1024 } as const;
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
  /** All that waits in memory, to be written again when the file it was in is gone. */
  held(): string[];
}

/** The writing side of a spool: records go into the files once a turn of the event loop, all of the turn at once. */
export class SpoolWriter {
  readonly #options: WriterOptions;
  /** Not written yet. */
  #lines: string[] = [];
  #characters = 0;
  /** Whether the new file still lacks what it has to open with; until then the older ones are needed. */
  #carryDue = false;
  #broken = false;
  #failedAt = Number.NEGATIVE_INFINITY;
  #writing: NodeJS.Immediate | undefined;
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

  get pending(): readonly string[] {
    return this.#lines;
  }

  /** Whether a record of this length can wait here for its writing, which is done now when it could not. */
  hasRoom(characters: number): boolean {
    const fits = () => this.#lines.length < MOST.records && this.#characters + characters <= MOST.characters;
    return fits() || (this.flush() && fits());
  }

  add(record: string, patient?: "patient"): void {
    this.#lines.push(record);
    this.#characters += record.length;
    if (patient) {
      this.#lingering ??= this.#options.clock.timer(LINGER, () => {
        this.#lingering = undefined;
        this.flush();
      });
      return;
    }
    this.#writing ??= setImmediate(() => {
      this.#writing = undefined;
      this.flush();
    });
  }

  /**
   * Hands all that waits to the operating system, into a new file when the old one is full or `fresh` asks for it. False when
   * that failed: what could not be written stays, and is tried again with the next.
   */
  flush(fresh = false): boolean {
    const { segments, carry } = this.#options;
    if (this.#lines.length === 0 && !this.#carryDue && !fresh) return true;
    if (this.#broken && !fresh && this.#options.clock.monotonic() - this.#failedAt < RETRY) return false;
    return this.#try(() => {
      if (fresh || segments.size > FULL) {
        segments.rotate();
        this.#carryDue = carry !== undefined;
      }
      const lines = this.#carryDue && carry ? [...carry(), ...this.#lines] : this.#lines;
      if (lines.length > 0) segments.write(lines.map(writeLine).join(""));
      this.#carryDue = false;
      this.#replace([]);
      this.#syncing ??= this.#options.clock.timer(SYNC, () => {
        this.#syncing = undefined;
        this.#sync();
      });
    });
  }

  /** Only the last `count` of what could not be written are still needed. */
  keepLast(count: number): void {
    if (this.#lines.length > count) this.#replace(count === 0 ? [] : this.#lines.slice(-count));
  }

  /** The files before this number are not needed any more. */
  dropBefore(number: number): void {
    if (!this.#carryDue) this.#options.segments.dropBefore(number);
  }

  /** Writes what is left, and ends; `done` says that nothing is needed any more. */
  close(done: boolean): void {
    if (this.#writing) clearImmediate(this.#writing);
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
    this.#replace(held());
    this.flush();
  }

  #replace(lines: string[]): void {
    this.#lines = lines;
    this.#characters = lines.reduce((sum, { length }) => sum + length, 0);
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
