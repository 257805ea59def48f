import { closeSync, openSync, readSync } from "node:fs";
import { readLines } from "./segment.ts";

/** Bytes read at once. */
const PIECE = 1024 * 1024;

/** Reads segments from where one stopped, piece by piece: what is too much for memory waits in its file. */
export class SegmentReader {
  readonly path: string;
  #at = 0;

  constructor(path: string, at = 0) {
    this.path = path;
    this.#at = at;
  }

  /** The next records, none at the end; `torn` when the rest is a line that never became whole. */
  next(): { records: string[]; bad: number; torn: boolean } {
    const file = openSync(this.path, "r");
    try {
      for (let size = PIECE; ; size *= 2) {
        const piece = Buffer.allocUnsafe(size);
        const length = readSync(file, piece, 0, size, this.#at);
        const { records, bad, end } = readLines(piece.subarray(0, length));
        const atEnd = length < size;
        // A record longer than the piece: look again with more room.
        if (end === 0 && !atEnd) continue;
        this.#at += end;
        if (records.length > 0) return { records, bad, torn: false };
        if (atEnd) return { records, bad, torn: end < length };
        if (bad > 0) return { records, bad, torn: false };
      }
    } finally {
      closeSync(file);
    }
  }
}
