import { randomUUID } from "node:crypto";
import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type ErrorCode, GatewayError } from "../errors.ts";
import { dialectOf } from "./client-dialects.ts";
import { errorResponse } from "./errors.ts";

const CODES: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "body_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};

/** Node keeps the response that a connection is at in this one place. */
interface HttpConnection extends Duplex {
  readonly _httpMessage?: ServerResponse | null;
}

/** Answers what Node's parser refused, or waited for too long, and closes the connection. Without a path the first client dialect is spoken. */
export function answerClientError(error: Error & { code?: string }, connection: HttpConnection): void {
  const response = connection._httpMessage;
  if (!connection.writable || error.code === "ECONNRESET") return void connection.destroy();
  // Behind the head of an answer, its reader would take these bytes for part of that.
  if (response?.headersSent) return void connection.end(() => connection.destroy());
  const refusal = new GatewayError(CODES[error.code ?? ""] ?? "invalid_http");
  const { headers, body } = errorResponse(refusal, dialectOf(response?.req.url ?? "").client, `req_${randomUUID().replaceAll("-", "")}`);
  const lines = Object.entries({ ...headers, connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`);
  connection.end(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${lines.join("")}\r\n${body}`, () => connection.destroy());
}
