import { close, fdatasync, fstatSync, openSync, writeSync } from "node:fs";

/** A file that is appended to: in the operating system's hands at once, on disk once a sync has ended. */
export class OpenFile {
  readonly #descriptor: number;
  readonly #onError: (error: Error) => void;
  /** Whether a write failed half-way, so that the next begins with a line feed. */
  #torn = false;
  #unsynced = false;
  #syncing = false;
  #asked = false;
  #retired = false;
  /** In bytes. */
  size = 0;

  /** `onError` hears of failures in the background. */
  constructor(path: string, onError: (error: Error) => void) {
    this.#descriptor = openSync(path, "a", 0o600);
    this.#onError = onError;
  }

  /** Writes the bytes between two places. Throws when not all of them could be written. */
  write(bytes: Buffer, from: number, to: number): void {
    let at = from;
    try {
      if (this.#torn) this.size += writeSync(this.#descriptor, "\n");
      while (at < to) at += writeSync(this.#descriptor, bytes, at, to - at);
    } finally {
      const written = at - from;
      this.#torn = at < to && (written > 0 || this.#torn);
      this.size += written;
      this.#unsynced ||= written > 0;
    }
  }

  /** Puts on disk what was written, in the background; one at a time, and once more when asked while one runs. */
  sync(): void {
    this.#asked = this.#syncing;
    if (this.#syncing) return;
    if (this.#unsynced) {
      this.#unsynced = false;
      this.#syncing = true;
      fdatasync(this.#descriptor, (error) => {
        this.#syncing = false;
        if (error) this.#onError(error);
        if (this.#asked || this.#retired) this.sync();
      });
    } else if (this.#retired) close(this.#descriptor, (error) => error && this.#onError(error));
  }

  /** True when nothing will ever find what is written: the file was removed. */
  get removed(): boolean {
    try {
      return fstatSync(this.#descriptor).nlink === 0;
    } catch {
      return true;
    }
  }

  /** Closes it in the background, with all of it on disk. */
  retire(): void {
    this.#retired = true;
    this.sync();
  }

  /** Closes it in the background; what is in it need not get to the disk. */
  discard(): void {
    this.#unsynced = false;
    this.retire();
  }
}
