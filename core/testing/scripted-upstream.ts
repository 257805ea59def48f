import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Usage } from "../dialects/canonical.ts";

/** Something to wait for before going on. Not a bare promise, which `yield` and `for await` would resolve on the way. */
export interface Wait {
  readonly until: PromiseLike<unknown>;
}

export type Step = string | Uint8Array | Wait;

/** What the upstream does with one request. */
export interface Script {
  /** Waited for before anything is sent, the head included. */
  readonly wait?: Wait;
  /** 200 by default. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** A string or bytes are sent whole with their length; steps are sent one by one, chunked, as fast as the client reads. */
  readonly body?: string | Uint8Array | Iterable<Step> | AsyncIterable<Step>;
  /** How the bytes are framed: as HTTP wants (default), ended by closing the connection, or `raw`: head and all are in the body. */
  readonly framing?: "http" | "close" | "raw";
  /** What comes after the body: its proper end (default), or the connection is closed or reset where it stands. */
  readonly end?: "whole" | "fin" | "reset";
  /** What this answer claims to have used; kept in the ledger. */
  readonly usage?: Usage;
}

/** A script, or what makes one for a given request. */
export type Responder = Script | ((call: UpstreamCall) => Script | Promise<Script>);

/** The ledger's entry for one request. */
export class UpstreamCall {
  readonly method: string;
  /** Path with its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** As sent: name, value, name, value, … */
  readonly rawHeaders: readonly string[];
  readonly body: string;
  /** The body parsed; undefined when it is not JSON. */
  readonly json: unknown;
  /** Every piece of the body that was handed to the connection, in order. */
  readonly sent: Buffer[] = [];
  /** Undefined until a script is chosen, null when that claims nothing. */
  usage: Usage | null | undefined;
  /** `whole`: sent to the end. `cut`: ended early by the script. `gone`: the client left before the end. */
  outcome: "open" | "whole" | "cut" | "gone" = "open";
  /** Resolves with the outcome once nothing more can be sent. */
  readonly closed: Promise<"whole" | "cut" | "gone">;
  readonly #resolve: (outcome: "whole" | "cut" | "gone") => void;

  constructor(request: IncomingMessage, body: string) {
    this.method = request.method ?? "";
    this.path = request.url ?? "";
    this.headers = request.headers;
    this.rawHeaders = request.rawHeaders;
    this.body = body;
    this.json = parsed(body);
    const { promise, resolve } = Promise.withResolvers<"whole" | "cut" | "gone">();
    this.closed = promise;
    this.#resolve = resolve;
  }

  get sentBytes(): number {
    return this.sent.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** @internal The first outcome stands. */
  close(outcome: "whole" | "cut" | "gone"): void {
    if (this.outcome !== "open") return;
    this.outcome = outcome;
    this.#resolve(outcome);
  }
}

export interface ScriptedUpstreamOptions {
  /** Ms that an idle connection is kept; Node's own default otherwise. */
  readonly keepAliveTimeout?: number;
  /** Largest head of a request that is taken, in bytes. */
  readonly maxHeaderSize?: number;
}

/** A real HTTP server on loopback that stands for a provider, does as scripted, and keeps its own ledger. */
export class ScriptedUpstream {
  readonly calls: UpstreamCall[] = [];
  /** Connections accepted so far. */
  accepted = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #queue: Responder[] = [];
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  #otherwise: Responder = { status: 500, body: '{"error":{"message":"the scripted upstream has no script left"}}' };

  private constructor(options: ScriptedUpstreamOptions) {
    this.#server = createServer(
      { ...options, requestTimeout: 0, headersTimeout: 0 },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on("connection", (socket) => {
      this.accepted += 1;
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      // A client that resets its connection is part of the play; `close` follows.
      socket.on("error", () => undefined);
    });
  }

  static async start(options: ScriptedUpstreamOptions = {}): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(options);
    await new Promise<void>((resolve, reject) => upstream.#server.once("error", reject).listen(0, "127.0.0.1", resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections open now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Scripts for the next requests, in order of arrival. */
  next(...responders: readonly Responder[]): this {
    this.#queue.push(...responders);
    return this;
  }

  /** The script for every request that finds none queued. */
  always(responder: Responder): this {
    this.#otherwise = responder;
    return this;
  }

  /** The call at `index` (0 for the first), as soon as it has arrived. */
  async call(index: number): Promise<UpstreamCall> {
    if (this.calls.length <= index) await new Promise<void>((resolve) => this.#waiting.push({ count: index + 1, resolve }));
    return this.calls[index] as UpstreamCall;
  }

  /** Cuts what is open and stops listening. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await read(request);
    if (body === undefined) return;
    const call = new UpstreamCall(request, body);
    response.once("close", () => call.close(response.writableFinished ? "whole" : "gone"));
    const responder = this.#queue.shift() ?? this.#otherwise;
    this.calls.push(call);
    for (const waiter of this.#waiting) if (waiter.count === this.calls.length) waiter.resolve();
    const script = typeof responder === "function" ? await responder(call) : responder;
    call.usage = script.usage ?? null;
    await perform(script, call, response);
  }
}

async function perform(script: Script, call: UpstreamCall, response: ServerResponse): Promise<void> {
  const { socket } = response;
  if (!socket || !(await reached(script.wait, call))) return;
  const { status = 200, headers = {}, body = "", framing = "http", end = "whole" } = script;
  const whole = typeof body === "string" || body instanceof Uint8Array;
  if (framing === "close") {
    response.removeHeader("transfer-encoding");
    response.setHeader("connection", "close");
  }
  if (framing !== "raw") {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (whole && framing === "http" && !response.hasHeader("content-length")) response.setHeader("content-length", Buffer.byteLength(body));
    response.writeHead(status).flushHeaders();
  }
  const sink = framing === "raw" ? socket : response;
  for await (const step of whole ? [body] : body) {
    if (isWait(step)) {
      if (!(await reached(step, call))) return;
      continue;
    }
    const piece = bytesOf(step);
    call.sent.push(piece);
    const drained = sink.write(piece) ? undefined : { until: new Promise<void>((resolve) => sink.once("drain", resolve)) };
    if (!(await reached(drained, call))) return;
  }
  if (end !== "whole") call.close("cut");
  if (end === "reset") socket.resetAndDestroy();
  else if (end === "fin") socket.end();
  else if (framing === "raw") {
    call.close("whole");
    socket.end();
  } else response.end();
}

/** False when the client left first. */
async function reached(step: Wait | undefined, call: UpstreamCall): Promise<boolean> {
  if (step) await Promise.race([step.until, call.closed]);
  return call.outcome === "open";
}

export function isWait(step: Step): step is Wait {
  return typeof step !== "string" && !(step instanceof Uint8Array);
}

/** The bytes of a step, not copied when they are bytes already. */
export function bytesOf(step: string | Uint8Array): Buffer {
  return typeof step === "string" ? Buffer.from(step) : Buffer.from(step.buffer, step.byteOffset, step.byteLength);
}

/** The whole body, or undefined when the client left while sending it. */
async function read(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString();
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
