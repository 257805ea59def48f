import { closeSync, fdatasync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { segmentsIn } from "./slot.ts";

/** A file that is written no more, or the one that is. */
export interface Segment {
  readonly path: string;
}

/** Stands for the file being written while there cannot be one. */
const NOWHERE: Segment = { path: "" };

/** The files of one spool, oldest first; the last is the one being written. */
export class Segments {
  readonly #folder: string;
  readonly #all: Segment[];
  #number: number;
  #file: number | undefined;
  /** Whether a write failed half-way, so that the next begins with a line feed. */
  #torn = false;
  #syncing = false;
  #unsynced = false;
  size = 0;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = folder;
    const names = segmentsIn(folder);
    this.#all = names.map((name) => ({ path: join(folder, name) }));
    this.#number = Number.parseInt(names.at(-1) ?? "0", 10);
  }

  get active(): Segment {
    return this.#file === undefined ? NOWHERE : (this.#all.at(-1) as Segment);
  }

  get oldest(): Segment | undefined {
    return this.#all[0];
  }

  after(segment: Segment): Segment | undefined {
    return this.#all[this.#all.indexOf(segment) + 1];
  }

  /** A path for a file from elsewhere, which counts as written after those that are there. */
  adopt(): string {
    return this.#add().path;
  }

  /** Goes on in a new file. Throws, changing nothing, when there cannot be one. */
  rotate(): void {
    const path = this.#path(this.#number + 1);
    const file = openSync(path, "a", 0o600);
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = file;
    this.#add();
    this.#torn = false;
    this.size = 0;
  }

  /** Appends; throws when not all of it could be written. */
  write(text: string): void {
    if (this.#file === undefined) this.rotate();
    const bytes = Buffer.from(this.#torn ? `\n${text}` : text);
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(this.#file as number, bytes, at);
    } finally {
      this.#torn = at < bytes.length && (at > 0 || this.#torn);
      this.size += at;
      this.#unsynced ||= at > 0;
    }
  }

  /** Puts on disk what was written, in the background; one at a time. */
  sync(onError: (error: Error) => void): void {
    if (!this.#unsynced || this.#syncing || this.#file === undefined) return;
    this.#unsynced = false;
    this.#syncing = true;
    fdatasync(this.#file, (error) => {
      this.#syncing = false;
      // The file may have been closed meanwhile, with all of it delivered.
      if (error && error.code !== "EBADF") onError(error);
    });
  }

  /** Removes the files before this one. */
  dropBefore(segment: Segment): void {
    while (this.#all.length > 0 && this.#all[0] !== segment) rmSync((this.#all.shift() as Segment).path, { force: true });
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** Closes and removes all of them. */
  clear(): void {
    this.close();
    this.dropBefore(NOWHERE);
  }

  #add(): Segment {
    this.#number += 1;
    const segment = { path: this.#path(this.#number) };
    this.#all.push(segment);
    return segment;
  }

  #path(number: number): string {
    return join(this.#folder, `${String(number).padStart(12, "0")}.log`);
  }
}
