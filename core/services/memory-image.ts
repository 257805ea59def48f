import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, unlink, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";

/** What is used of a `WebAssembly.Memory`, which only the browser's types know. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** By so many pages of 64 KiB. */
  grow(pages: number): number;
}

/** Of what follows it: the checksum, and the number that was saved with the memory. Each four bytes, the lowest first. */
const HEADER = 8;
const PAGE = 65_536;

/** Keeps a WebAssembly memory in a file, and a number with it. Does nothing where that cannot be written. */
export function saveMemory(file: string, memory: WasmMemory, number: number): void {
  const unfinished = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    const bytes = new Uint8Array(memory.buffer);
    const header = Buffer.alloc(HEADER);
    header.writeUInt32LE(crc32(bytes), 0);
    header.writeUInt32LE(number, 4);
    writeFileSync(unfinished, header);
    writeFileSync(unfinished, bytes, { flag: "a" });
    renameSync(unfinished, file);
  } catch {
    unlink(unfinished, () => undefined);
  }
}

/** Fills a memory that is still small with what was kept; returns the number. Undefined when there is none, or it is damaged: then the memory is spoilt. */
export function loadMemory(file: string, memory: WasmMemory): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return undefined;
  }
  try {
    const size = fstatSync(descriptor).size - HEADER;
    const header = Buffer.alloc(HEADER);
    if (size <= 0 || size % PAGE !== 0 || readSync(descriptor, header) < HEADER) return undefined;
    memory.grow(Math.max(0, size - memory.buffer.byteLength) / PAGE);
    const bytes = new Uint8Array(memory.buffer, 0, size);
    for (let at = 0, more = 1; at < size && more > 0; at += more) more = readSync(descriptor, bytes, at, size - at, null);
    return crc32(bytes) === header.readUInt32LE(0) ? header.readUInt32LE(4) : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}
