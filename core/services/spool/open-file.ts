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

  /** Throws when not all of it could be written. */
  write(text: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${text}` : text);
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(this.#descriptor, bytes, at);
    } finally {
      this.#torn = at < bytes.length && (at > 0 || this.#torn);
      this.size += at;
      this.#unsynced ||= at > 0;
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
