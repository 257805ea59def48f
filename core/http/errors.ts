import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ClientDialect } from "../dialects/dialect.ts";
import type { GatewayError } from "../errors.ts";

/** SDKs ignore a longer wait. */
const LONGEST_WAIT = 60;

/** An error in the client's own dialect: its headers and its body. */
export function errorResponse(
  error: GatewayError,
  dialect: ClientDialect,
  requestId: string,
): { headers: Record<string, string>; body: string } {
  const body = JSON.stringify(dialect.errorBody(error, requestId));
  return {
    headers: {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "x-request-id": requestId,
      "request-id": requestId,
      "x-content-type-options": "nosniff",
      ...retryHeaders(error),
      ...error.headers,
    },
    body,
  };
}

/** Sends an error, unless the response has begun or the client is gone. */
export function sendError(
  response: ServerResponse,
  error: GatewayError,
  dialect: ClientDialect,
  requestId: string,
  extra: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent || !response.writable) return;
  const { headers, body } = errorResponse(error, dialect, requestId);
  response.writeHead(error.status, { ...headers, ...extra });
  response.end(body);
}

function retryHeaders(error: GatewayError): Record<string, string> {
  if (!error.retry) return { "x-should-retry": "false" };
  const refused = error.status === 429 || error.status === 503;
  if (error.retryAfter === undefined && !refused) return {};
  const seconds = Math.min(error.retryAfter ?? 1, LONGEST_WAIT);
  return { "retry-after": String(Math.ceil(seconds)), "retry-after-ms": String(Math.ceil(seconds * 1000)) };
}
