import { crc32 } from "node:zlib";
import type { Stored } from "./arena.ts";

const DIGITS = Buffer.from("0123456789abcdef");
const SPACE = 0x20;
const LF = 0x0a;
/** Between the records of a line: ASCII's own separator of records. */
const BETWEEN = "\x1e";
const BETWEEN_BYTE = 0x1e;
/** Where a line's text begins. */
const TEXT_AT = 9;
/** Most bytes of a UTF-16 unit in UTF-8. */
const WIDEST = 3;
/** Up to this length a text's bytes are not counted to see how many they are. */
const SHORT = 16 * 1024;

/** What a line says: records that were written together. */
export function textOf(records: readonly string[]): string {
  return records.length === 1 ? (records[0] as string) : records.join(BETWEEN);
}

/** Bytes that its line takes at most. */
export function roomFor(text: string): number {
  return TEXT_AT + 1 + (text.length > SHORT ? Buffer.byteLength(text) : text.length * WIDEST);
}

/** Puts a line at a place with room for it: the text's checksum (CRC-32, eight hexadecimal digits), a space, the text, a line feed. Returns where it ends. */
export function putLine(bytes: Buffer, at: number, text: string): number {
  const from = at + TEXT_AT;
  const to = from + bytes.write(text, from);
  let sum = crc32(bytes.subarray(from, to));
  for (let place = from - 2; place >= at; place--) {
    bytes[place] = DIGITS[sum & 15] as number;
    sum >>>= 4;
  }
  bytes[from - 1] = SPACE;
  bytes[to] = LF;
  return to + 1;
}

/** The records of lines that this process itself has written, and nothing could have damaged since. */
export function recordsOf({ slab, from, to }: Stored): string[] {
  const records: string[] = [];
  for (const line of slab.bytes.toString("utf8", from, to - 1).split("\n")) {
    for (const record of line.slice(TEXT_AT).split(BETWEEN)) records.push(record);
  }
  return records;
}

/** Records in these bytes: each ends with its line, or before the next. */
export function countRecords(bytes: Buffer): number {
  let count = 0;
  for (const end of [LF, BETWEEN_BYTE]) for (let at = bytes.indexOf(end); at >= 0; at = bytes.indexOf(end, at + 1)) count += 1;
  return count;
}

export interface Lines {
  /** Whole and sound, in order. */
  readonly records: string[];
  /** Records of lines whose checksum is not theirs. */
  readonly bad: number;
  /** Bytes read, up to the last line feed; what follows is a line that is not whole (yet). */
  readonly end: number;
}

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
    if (sound) for (const record of text.toString("utf8").split(BETWEEN)) records.push(record);
    else bad += countRecords(line) + 1;
  }
  return { records, bad, end: start };
}
