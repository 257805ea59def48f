import { fstatSync, write, writeSync } from "node:fs";

/** Writes one chunk and calls back once it is out, or could not be written. */
export type ChunkWriter = (chunk: Buffer, done: (error?: Error | null) => void) => void;

/** How long lines are gathered before they are written, in ms. */
const GATHER_MS = 20;

/**
 * Holds lines back from a destination that is slow, stuck or broken, in bounded memory: one chunk is being written, the
 * next one is being gathered, and what goes beyond `limit` bytes is dropped and counted. A chunk that could not be
 * written is dropped too; the next one is tried again, so a full disk or a missing reader heals by itself.
 */
export class LineSink {
  readonly #writeChunk: ChunkWriter;
  readonly #limit: number;
  readonly #onDrop: (lines: number) => void;
  #lines: string[] = [];
  /** Bytes gathered or being written. */
  #bytes = 0;
  #writing = false;
  #gathering: NodeJS.Timeout | undefined;
  #idle: (() => void)[] = [];

  constructor(writeChunk: ChunkWriter, limit: number, onDrop: (lines: number) => void) {
    this.#writeChunk = writeChunk;
    this.#limit = limit;
    this.#onDrop = onDrop;
  }

  write(line: string): void {
    const size = Buffer.byteLength(line);
    if (this.#bytes + size > this.#limit) {
      this.#onDrop(1);
      return;
    }
    this.#bytes += size;
    this.#lines.push(line);
    this.#schedule();
  }

  /** Resolves when everything is out or has failed, and at the latest after `ms`. */
  flush(ms: number): Promise<void> {
    if (this.#bytes === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
      if (!this.#writing) this.#next();
    });
  }

  /** Takes what has been gathered, for a process that ends before it could be written. */
  takeRest(): string {
    return this.#take().join("");
  }

  /** Lines are gathered for a moment and written together: a write costs more than all else about a line. */
  #schedule(): void {
    if (this.#writing || this.#gathering) return;
    this.#gathering = setTimeout(() => this.#next(), GATHER_MS).unref();
  }

  #next(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const lines = this.#take();
    if (lines.length === 0) {
      this.#rest();
      return;
    }
    const chunk = Buffer.from(lines.join(""));
    this.#writing = true;
    this.#writeChunk(chunk, (error) => {
      this.#writing = false;
      this.#bytes -= chunk.length;
      if (error) this.#onDrop(lines.length);
      if (this.#idle.length > 0) this.#next();
      else if (this.#lines.length > 0) this.#schedule();
    });
  }

  #take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  #rest(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}

/**
 * A sink on standard output. Pipes and sockets go through `process.stdout`, which waits in epoll; a blocked `fs.write`
 * would hold a thread of libuv's pool, and with it the end of the process, for as long as the reader sleeps. Files,
 * terminals and devices, which `process.stdout` writes synchronously, go through the pool.
 */
export function stdoutSink(
  limit: number,
  onDrop: (lines: number) => void,
): { write(line: string): void; close(ms: number): Promise<void> } {
  const kind = fstatSync(1);
  const piped = kind.isFIFO() || kind.isSocket();
  // Each failed write says so to its callback, where it is counted; unheard, the event would end the process.
  if (piped && !process.stdout.listeners("error").includes(discard)) process.stdout.on("error", discard);
  const sink = new LineSink(piped ? (chunk, done) => process.stdout.write(chunk, done) : writeToFile, limit, onDrop);
  const onExit = () => writeRest(sink);
  process.once("exit", onExit);
  return {
    write: (line) => sink.write(line),
    async close(ms) {
      await sink.flush(ms);
      process.off("exit", onExit);
    },
  };
}

function writeToFile(chunk: Buffer, done: (error?: Error | null) => void): void {
  write(1, chunk, (error, written) => {
    if (error || written === chunk.length) done(error);
    else writeToFile(chunk.subarray(written), done);
  });
}

/** One attempt at the end of the process. It cannot hang: a pipe does not block once `process.stdout` has it. */
function writeRest(sink: LineSink): void {
  const rest = sink.takeRest();
  if (rest === "") return;
  try {
    writeSync(1, rest);
  } catch (error) {
    // Nobody is left to read a count of what is lost.
    discard(error);
  }
}

function discard(_error: unknown): void {}
