import type { Duplex } from "node:stream";
import { ERRORS, type ErrorCode } from "../errors.ts";

const CODES: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};

/** Answers what Node's parser refused. There is no request, so no dialect: the OpenAI shape is sent, and the connection closed. */
export function answerClientError(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
  const code = CODES[error.code ?? ""] ?? "invalid_http";
  const { status, message, openai } = ERRORS[code];
  const body = JSON.stringify({ error: { message, type: openai, param: null, code } });
  socket.end(
    `HTTP/1.1 ${status} ${code}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
