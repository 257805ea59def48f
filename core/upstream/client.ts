import { Agent, type Dispatcher } from "undici";
import { type ErrorCode, GatewayError } from "../errors.ts";

/** One HTTP request to a provider. */
export interface UpstreamRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  /** Lower-case names; the complete set that is sent. */
  readonly headers: Record<string, string>;
  readonly body: string | null;
}

export interface UpstreamResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: UpstreamBody;
}

/** A response body read piece by piece; not reading holds the sender back. */
export interface UpstreamBody {
  /** The next piece, or null at a clean end. Rejects with a GatewayError when the body breaks off or was destroyed. One read at a time. */
  read(): Promise<Buffer | null>;
  /** Ends the exchange with the provider at once, frees its connection and fails the read under way; idempotent. */
  destroy(reason?: GatewayError): void;
}

/** A request under way: its response, and the means to give it up. */
export interface PendingResponse {
  readonly response: Promise<UpstreamResponse>;
  destroy(reason: GatewayError): void;
}

/** Bytes that may wait unread before the sender is held back. */
const HIGH_WATER = 64 * 1024;

/**
 * HTTP to providers over undici. Pools connections per origin, never follows a redirect, never retries, and has no
 * timers but the one for connecting: the caller owns the other deadlines, and aborts through `destroy`.
 */
export class UpstreamClient {
  readonly #agent: Agent;

  constructor(options: { readonly connectMs: number }) {
    this.#agent = new Agent({
      allowH2: false,
      connect: { timeout: options.connectMs },
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 60_000,
      maxHeaderSize: 32 * 1024,
    });
  }

  send(request: UpstreamRequest): PendingResponse {
    const pathAt = request.url.indexOf("/", request.url.indexOf("://") + 3);
    const call = new Call();
    this.#agent.dispatch(
      {
        origin: pathAt < 0 ? request.url : request.url.slice(0, pathAt),
        path: pathAt < 0 ? "/" : request.url.slice(pathAt),
        method: request.method,
        headers: request.headers,
        body: request.body,
      },
      call,
    );
    return call;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

class Call implements Dispatcher.DispatchHandler, UpstreamBody, PendingResponse {
  readonly response: Promise<UpstreamResponse>;
  #respond!: (response: UpstreamResponse) => void;
  #fail!: (error: GatewayError) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #started = false;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #ended = false;
  #error: GatewayError | undefined;
  #reader: { resolve: (chunk: Buffer | null) => void; reject: (error: GatewayError) => void } | undefined;

  constructor() {
    this.response = new Promise((resolve, reject) => {
      this.#respond = resolve;
      this.#fail = reject;
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#error) controller.abort(this.#error);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: UpstreamResponse["headers"]): void {
    if (status < 200) return;
    this.#started = true;
    this.#respond({ status, headers, body: this });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#reader) {
      const { resolve } = this.#reader;
      this.#reader = undefined;
      resolve(chunk);
      return;
    }
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered > HIGH_WATER) controller.pause();
  }

  onResponseEnd(): void {
    this.#ended = true;
    this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#break(error instanceof GatewayError ? error : translate(error, this.#started));
  }

  read(): Promise<Buffer | null> {
    const chunk = this.#chunks.shift();
    if (chunk) {
      this.#buffered -= chunk.length;
      if (this.#buffered <= HIGH_WATER && this.#controller?.paused) this.#controller.resume();
      return Promise.resolve(chunk);
    }
    if (this.#error) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  destroy(reason = new GatewayError("client_closed")): void {
    if (this.#ended || this.#error) return;
    this.#chunks = [];
    this.#break(reason);
    this.#controller?.abort(reason);
  }

  #break(error: GatewayError): void {
    if (this.#error) return;
    this.#error = error;
    if (!this.#started) this.#fail(error);
    this.#reader?.reject(error);
    this.#reader = undefined;
  }
}

const CODES: Record<string, ErrorCode> = {
  UND_ERR_CONNECT_TIMEOUT: "upstream_timeout",
  UND_ERR_HEADERS_OVERFLOW: "upstream_invalid",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "upstream_cut",
  UND_ERR_INVALID_ARG: "upstream_invalid",
};

/** undici's and Node's errors as ours; their messages name hosts and stay in `cause`. */
function translate(error: Error & { code?: string }, started: boolean): GatewayError {
  const code = error.code ?? "";
  const known = CODES[code] ?? (code.startsWith("HPE_") ? "upstream_invalid" : undefined);
  return new GatewayError(known ?? (started ? "upstream_cut" : "upstream_unreachable"), { cause: error });
}
