import { close, mkdirSync, openSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Stored } from "./arena.ts";
import { OpenFile } from "./open-file.ts";
import { segmentsIn } from "./slot.ts";

/** A file that is written no more, or the one that is. Numbers grow with age left behind: the oldest has the least. */
export interface Segment {
  readonly number: number;
  readonly path: string;
}

/** The files of one spool, oldest first; the last is the one being written, when there can be one. */
export class Segments {
  readonly #folder: string;
  readonly #onError: (error: unknown) => void;
  readonly #all: Segment[];
  #last: number;
  #file: OpenFile | undefined;

  /** `onError` hears of what failed and can be tried again or done without. */
  constructor(folder: string, onError: (error: unknown) => void) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = folder;
    this.#onError = onError;
    this.#all = segmentsIn(folder).map((name) => ({ number: Number.parseInt(name, 10), path: join(folder, name) }));
    this.#last = this.#all.at(-1)?.number ?? 0;
  }

  get all(): readonly Segment[] {
    return this.#all;
  }

  /** The one being written. */
  get active(): Segment | undefined {
    return this.#file && this.#all.at(-1);
  }

  /** Bytes in it. */
  get size(): number {
    return this.#file?.size ?? 0;
  }

  /** What is written from now on is in the file of this number, or a later one. */
  get number(): number {
    return this.#file ? this.#last : this.#last + 1;
  }

  after({ number }: Segment): Segment | undefined {
    return this.#all.find((each) => each.number > number);
  }

  /** A path for a file from elsewhere, which counts as written after those that are there. */
  adopt(): string {
    return this.#add().path;
  }

  /** Goes on in a new file. Throws, changing nothing, when there cannot be one. */
  rotate(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const file = new OpenFile(this.#path(this.#last + 1), this.#onError);
    this.#file?.retire();
    this.#file = file;
    this.#add();
  }

  /** Appends; throws when not all of it could be written. */
  write({ slab, from, to }: Stored): void {
    if (!this.#file) this.rotate();
    this.#file?.write(slab.bytes, from, to);
  }

  /** Puts on disk what was written, in the background. False when the file is not there any more: the next write makes another. */
  sync(): boolean {
    if (this.#file?.removed) {
      this.#file.discard();
      this.#file = undefined;
      this.#all.pop();
      return false;
    }
    this.#file?.sync();
    return true;
  }

  /** Takes a file that cannot be read out of the way, for someone to look at. */
  setAside({ number, path }: Segment): void {
    if (this.#file && number === this.#last) {
      this.#file.retire();
      this.#file = undefined;
    }
    const at = this.#all.findIndex((each) => each.number === number);
    if (at >= 0) this.#all.splice(at, 1);
    try {
      renameSync(path, `${path}.bad`);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Removes the files of lesser numbers. */
  dropBefore(number: number): void {
    try {
      for (let first = this.#all[0]; first && first.number < number; first = this.#all[0]) {
        remove(first.path);
        this.#all.shift();
      }
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Ends the writing; with `done`, nothing of it is needed any more, and it is removed. */
  close(done: boolean): void {
    if (done) this.#file?.discard();
    else this.#file?.retire();
    this.#file = undefined;
    if (done) this.dropBefore(Number.POSITIVE_INFINITY);
  }

  #add(): Segment {
    this.#last += 1;
    const segment = { number: this.#last, path: this.#path(this.#last) };
    this.#all.push(segment);
    return segment;
  }

  #path(number: number): string {
    return join(this.#folder, `${String(number).padStart(12, "0")}.log`);
  }
}

/** Removes a file, if it is there. To free what it takes on disk takes milliseconds, and is done in the background when its last descriptor is closed. */
function remove(path: string): void {
  try {
    const descriptor = openSync(path, "r");
    try {
      unlinkSync(path);
    } finally {
      close(descriptor, () => undefined);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
