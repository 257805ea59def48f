import { closeSync, openSync, readSync } from "node:fs";
import { countRecords, readLines } from "./segment.ts";

/** Bytes read at once. */
const PIECE = 1024 * 1024;

export interface Piece {
  readonly records: string[];
  /** Records of lines whose checksum is not theirs. */
  readonly bad: number;
  /** The file ended here, as it was then. */
  readonly done: boolean;
  /** What is left at its end is a line that never became whole. */
  readonly torn: boolean;
}

/** Reads a segment from where one stopped, piece by piece: what is too much for memory waits in its file. */
export class SegmentReader {
  readonly path: string;
  #at: number;

  constructor(path: string, at = 0) {
    this.path = path;
    this.#at = at;
  }

  /** Bytes that were read. */
  get at(): number {
    return this.#at;
  }

  /** The next records. Throws when the file cannot be read. */
  next(): Piece {
    return reading(this.path, (file) => {
      for (let size = PIECE; ; size *= 2) {
        const piece = Buffer.allocUnsafe(size);
        const length = readSync(file, piece, 0, size, this.#at);
        const { records, bad, end } = readLines(piece.subarray(0, length));
        const done = length < size;
        // A line longer than the piece: look again with more room.
        if (end === 0 && !done) continue;
        this.#at += end;
        return { records, bad, done, torn: done && end < length };
      }
    });
  }
}

/** Records in a file; 0 when it cannot be read, which shows when its turn comes. */
export function recordsIn(path: string): number {
  try {
    return reading(path, (file) => {
      const piece = Buffer.allocUnsafe(PIECE);
      let records = 0;
      for (let length = readSync(file, piece); length > 0; length = readSync(file, piece))
        records += countRecords(piece.subarray(0, length));
      return records;
    });
  } catch {
    return 0;
  }
}

function reading<T>(path: string, use: (file: number) => T): T {
  const file = openSync(path, "r");
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}
