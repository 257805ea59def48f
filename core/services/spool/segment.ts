import { crc32 } from "node:zlib";
import type { Stored } from "./arena.ts";

/** Digits of each byte: `toString(16)` is slow for numbers as large as a checksum. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** One record a line: its checksum (CRC-32, eight hexadecimal digits), a space, the record, a line feed. */
export function linesOf(records: readonly string[]): string {
  let text = "";
  for (const record of records) {
    const sum = crc32(record);
    text += `${HEX[sum >>> 24]}${HEX[(sum >>> 16) & 255]}${HEX[(sum >>> 8) & 255]}${HEX[sum & 255]} ${record}\n`;
  }
  return text;
}

/** The records of lines that this process itself has written, and nothing could have damaged since. */
export function recordsOf({ slab, from, to }: Stored): string[] {
  const lines = slab.bytes.toString("utf8", from, to - 1).split("\n");
  return lines.map((line) => line.slice(TEXT_AT));
}

export interface Lines {
  /** Whole and sound, in order. */
  readonly records: string[];
  /** Lines whose checksum is not theirs. */
  readonly bad: number;
  /** Bytes read, up to the last line feed; what follows is a line that is not whole (yet). */
  readonly end: number;
}

const LF = 0x0a;
const TEXT_AT = 9;

/** Reads the whole lines of a piece of a segment. */
export function readLines(bytes: Buffer): Lines {
  const records: string[] = [];
  let bad = 0;
  let start = 0;
  for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
    const line = bytes.subarray(start, end);
    start = end + 1;
    // What a failed write left half done is closed by a line feed of its own, so an empty line is nothing lost.
    if (line.length === 0) continue;
    const text = line.subarray(TEXT_AT);
    const sound = line.length > TEXT_AT && crc32(text) === Number.parseInt(line.toString("latin1", 0, TEXT_AT - 1), 16);
    if (sound) records.push(text.toString("utf8"));
    else bad += 1;
  }
  return { records, bad, end: start };
}
