import type { ServerResponse } from "node:http";
import { GatewayError } from "../errors.ts";
import type { LiveExchange } from "../live-exchange.ts";
import type { Clock } from "../services/clock.ts";

/** Largest piece that is handed over at once. */
const PIECE = 64 * 1024;
/** How long, in ms, a client that did not read may take to hear why its stream ends. */
const LAST_WORD_MS = 1_000;

export interface ClientWriterOptions {
  readonly clock: Clock;
  /** Longest a client may go without reading, in ms. */
  readonly stallMs: number;
}

/**
 * Writes a response whose head has been written, never faster than the client reads. What has to wait for the client
 * answers a promise, which rejects when the client left, when the call was aborted, or when the client stalled.
 */
export class ClientWriter {
  readonly #exchange: LiveExchange;
  readonly #response: ServerResponse;
  readonly #options: ClientWriterOptions;

  constructor(exchange: LiveExchange, response: ServerResponse, options: ClientWriterOptions) {
    this.#exchange = exchange;
    this.#response = response;
    this.#options = options;
  }

  /** Whether the client has read all that was written. */
  get ready(): boolean {
    return !this.#response.writableNeedDrain && !this.#response.destroyed;
  }

  write(piece: Buffer | string): Promise<void> | undefined {
    return this.#response.write(piece) ? undefined : this.#taken("drain");
  }

  /** Ends the response; it has been handed over whole when this returns nothing, or resolves. */
  end(piece?: Buffer): Promise<void> | undefined {
    this.#response.end(piece);
    return this.#response.writableFinished ? undefined : this.#taken("finish");
  }

  /** The whole body, in pieces where it is long, so that a client that reads slowly is told from one that does not read. */
  async whole(body: Buffer): Promise<void> {
    // As text, because Node then writes head and body in one piece; latin1 leaves every byte what it is.
    if (body.length <= PIECE) return void this.#response.end(body.toString("latin1"), "latin1");
    let at = 0;
    for (; at + PIECE < body.length; at += PIECE) await this.write(body.subarray(at, at + PIECE));
    await this.end(body.subarray(at));
  }

  /** Ends a stream that broke off with an event that says so. A client that was not reading gets a moment to. */
  async breakOff(event: string): Promise<void> {
    const response = this.#response;
    if (response.destroyed) return;
    // All that was left was to hand over an end that has been written.
    if (!response.writableEnded) response.end(event);
    if (response.writableFinished) return;
    const patience = this.#options.clock.timer(LAST_WORD_MS, () => response.destroy());
    await new Promise<void>((resolve) => response.once("close", resolve));
    patience.cancel();
  }

  #taken(event: "drain" | "finish"): Promise<void> {
    const { clock, stallMs } = this.#options;
    const exchange = this.#exchange;
    const response = this.#response;
    return new Promise((resolve, reject) => {
      if (exchange.aborted) return reject(exchange.aborted);
      const stall = clock.timer(stallMs, () =>
        exchange.abort(new GatewayError("client_closed", { message: "The client did not read its answer." })),
      );
      const onClose = () => exchange.abort(new GatewayError("client_closed"));
      const done = (error?: GatewayError) => {
        stall.cancel();
        forget();
        response.removeListener(event, done);
        response.removeListener("close", onClose);
        if (error) reject(error);
        else resolve();
      };
      const forget = exchange.onAbort(done);
      response.once(event, done);
      response.once("close", onClose);
    });
  }
}
