import type { IncomingMessage, ServerResponse } from "node:http";
import helmet from "helmet";
import { GatewayError } from "../errors.ts";
import type { Clock } from "../services/clock.ts";
import type { ApiResponse } from "./api.ts";

export interface SendOptions {
  readonly clock: Clock;
  /** For a client that does not read, in ms. */
  readonly stallMs: number;
}

type Pieces = Iterable<string> | AsyncIterable<string>;

/** Sends what a route answered: an object as JSON, a text whole, an iterable piece by piece at the client's own pace. */
export async function sendAnswer(response: ServerResponse, answer: ApiResponse, requestId: string, options: SendOptions): Promise<void> {
  const { body, status = 200, type = "text/plain; charset=utf-8", headers } = answer;
  const head = { ...PAGE_HEADERS, "cache-control": "no-store", "x-request-id": requestId, ...headers };
  if (isPieces(body)) {
    response.writeHead(status, { ...head, "content-type": type });
    return sendPieces(response, body, options);
  }
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const length = Buffer.byteLength(text);
  response.writeHead(status, { ...head, "content-type": typeof body === "string" ? type : "application/json", "content-length": length });
  response.end(text);
}

/** What breaks off must not look whole, so the connection is closed without the end of the body. */
async function sendPieces(response: ServerResponse, pieces: Pieces, options: SendOptions): Promise<void> {
  try {
    for await (const piece of pieces) {
      if (response.destroyed) throw new GatewayError("client_closed");
      if (!response.write(piece)) await drained(response, options);
    }
    response.end();
  } catch (error) {
    response.destroy();
    throw error;
  }
}

function drained(response: ServerResponse, { clock, stallMs }: SendOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: GatewayError) => {
      timer.cancel();
      response.off("drain", onDrain).off("close", onClose);
      if (error) reject(error);
      else resolve();
    };
    const onDrain = () => done();
    const onClose = () => done(new GatewayError("client_closed"));
    const timer = clock.timer(stallMs, onClose);
    response.once("drain", onDrain).once("close", onClose);
  });
}

function isPieces(body: unknown): body is Pieces {
  return typeof body === "object" && body !== null && !Array.isArray(body) && (Symbol.asyncIterator in body || Symbol.iterator in body);
}

/** helmet's headers do not depend on the request: asked once, sent from memory. */
function helmetHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  const response = { setHeader: (name: string, value: string) => (headers[name.toLowerCase()] = value), removeHeader: () => undefined };
  helmet()({} as IncomingMessage, response as unknown as ServerResponse, () => undefined);
  return headers;
}

const PAGE_HEADERS = helmetHeaders();
