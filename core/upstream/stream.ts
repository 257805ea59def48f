import type { ChatChunk, Usage } from "../dialects/canonical.ts";
import type { FrameKind, StreamReader } from "../dialects/dialect.ts";
import { type Frame, SseFramer } from "../dialects/sse.ts";
import { GatewayError } from "../errors.ts";
import type { Clock, Timer } from "../services/clock.ts";
import type { UpstreamBody } from "./client.ts";

/** Most bytes of events that may come before content. */
const LEAD_LIMIT = 512 * 1024;
/** How long, in ms, the body may stay open after the terminator. */
const LINGER_MS = 1_000;

export interface UpstreamStreamOptions {
  /** Name of the provider's dialect. */
  readonly dialect: string;
  readonly body: UpstreamBody;
  readonly reader: StreamReader;
  /** Turns the provider's mid-stream error into what the client is told. */
  readonly toError: (reader: StreamReader) => GatewayError;
  readonly clock: Clock;
  /** Longest wait for the next event. */
  readonly idleMs: number;
  /** Told once, when the last piece was read or the stream broke; `error` is absent for a whole answer. */
  readonly onEnd: (error?: GatewayError) => void;
}

type Marked = { readonly frame: Frame; readonly kind: FrameKind };

/**
 * One provider's stream, read either as its own bytes or as canonical chunks, never both. Whole means that the
 * dialect's terminator was seen; a body that merely ends has been cut.
 */
export class UpstreamStream implements AsyncIterable<ChatChunk> {
  readonly dialect: string;
  readonly #body: UpstreamBody;
  readonly #reader: StreamReader;
  readonly #options: UpstreamStreamOptions;
  readonly #framer = new SseFramer();
  /** What `commit` read: lifecycle frames and the first content. */
  #held: Marked[] = [];
  /** Runs once content has come; before, the deadline for that counts. */
  #idle: Timer | undefined;
  /** Whether a piece is waited for. A client that reads slowly is no fault of the provider's. */
  #waiting = false;
  /** Whether the last piece completed an event: single bytes keep a connection alive, but not an answer. */
  #moved = false;
  /** Bytes of the events so far. */
  #bytes = 0;
  #outputPieces = 0;
  #committed = false;
  #over = false;
  #error: GatewayError | undefined;

  constructor(options: UpstreamStreamOptions) {
    this.dialect = options.dialect;
    this.#body = options.body;
    this.#reader = options.reader;
    this.#options = options;
  }

  get usage(): Usage | null {
    return this.#reader.usage;
  }

  /** Whether any of the answer has come. */
  get committed(): boolean {
    return this.#committed;
  }

  get outputBytes(): number {
    return this.#reader.outputBytes;
  }

  /** Events that held some of the answer's text. Most providers send a token in each. */
  get outputPieces(): number {
    return this.#outputPieces;
  }

  /** Reads up to the first content, holding it all back. Rejects with a GatewayError when there is none to come. */
  async commit(): Promise<void> {
    for (;;) {
      const batch = await this.#pull();
      if (!batch) return;
      this.#held.push(...batch);
      if (this.#committed) break;
      if (this.#bytes > LEAD_LIMIT) {
        this.destroy(new GatewayError("upstream_invalid", { cause: new Error("events without content have no end") }));
      }
    }
    if (this.#over) return;
    const { clock, idleMs } = this.#options;
    this.#idle = clock.timer(idleMs, () => {
      if (this.#waiting) this.destroy(new GatewayError("upstream_timeout"));
    });
  }

  /**
   * The next bytes for a client of the same dialect, or null after the last. Frames with nothing but usage are left out
   * unless `showUsage`. Rejects when the stream breaks; what came before the break has been given out by then.
   */
  async bytes(showUsage: boolean): Promise<Buffer | null> {
    for (;;) {
      const batch = this.#held.length > 0 ? this.#held.splice(0) : await this.#pull();
      if (!batch) return null;
      const shown = showUsage ? batch : batch.filter(({ kind }) => kind !== "usage");
      const [first] = shown;
      if (first) return shown.length === 1 ? first.frame.raw : Buffer.concat(shown.map(({ frame }) => frame.raw));
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ChatChunk> {
    for (;;) {
      const batch = this.#held.length > 0 ? this.#held.splice(0) : await this.#pull();
      if (!batch) return;
      for (const { frame, kind } of batch) if (kind !== "end") yield* this.#reader.decode(frame);
    }
  }

  /** Gives the stream up and frees its connection. */
  destroy(reason?: GatewayError): void {
    if (this.#over) return;
    this.#body.destroy(reason);
    this.#finish(reason ?? new GatewayError("client_closed"));
  }

  /** The frames of one more piece; null when the answer is whole. Good frames before a bad one are given out first. */
  async #pull(): Promise<Marked[] | null> {
    if (this.#over) return this.#outcome();
    try {
      if (this.#moved) this.#idle?.refresh();
      this.#waiting = true;
      const piece = await this.#body.read();
      this.#waiting = false;
      return this.#mark(piece);
    } catch (error) {
      this.#body.destroy();
      this.#finish(error as GatewayError);
      return this.#outcome();
    }
  }

  #mark(piece: Buffer | null): Marked[] | null {
    const frames = piece ? this.#framer.push(piece) : this.#framer.end();
    this.#moved = frames.length > 0;
    const batch: Marked[] = [];
    for (const frame of frames) {
      this.#bytes += frame.raw.length;
      const before = this.#reader.outputBytes;
      const kind = this.#reader.inspect(frame);
      if (this.#reader.outputBytes > before) this.#outputPieces += 1;
      if (kind === "error") {
        this.#finish(this.#options.toError(this.#reader));
        this.#body.destroy();
        break;
      }
      // Comments and the like say nothing, and some SDKs fail on an event without data.
      if (frame.data !== "") batch.push({ frame, kind });
      this.#committed ||= kind === "content" || kind === "end";
      if (kind === "end") {
        this.#finish();
        drain(this.#body, this.#options.clock);
        break;
      }
    }
    if (piece === null && !this.#over) this.#finish(this.#reader.endsWithBody ? undefined : new GatewayError("upstream_cut"));
    return batch.length > 0 || !this.#over ? batch : this.#outcome();
  }

  #finish(error?: GatewayError): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#idle?.cancel();
    this.#options.onEnd(error);
  }

  #outcome(): null {
    if (this.#error) throw this.#error;
    return null;
  }
}

/** Reads off what follows the terminator, so that the connection can be used again; a provider that goes on, or does not end, loses it. */
function drain(body: UpstreamBody, clock: Clock): void {
  const limit = clock.timer(LINGER_MS, () => body.destroy());
  const next = (left: number): Promise<void> =>
    body.read().then((piece) => {
      if (piece === null) return;
      if (left === 0) body.destroy();
      else return next(left - 1);
    });
  next(4)
    .catch(() => body.destroy())
    .finally(() => limit.cancel());
}
