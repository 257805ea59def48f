import type { IncomingMessage } from "node:http";
import { GatewayError } from "../errors.ts";

/** Headers that decide something; two of one would let two readers disagree. */
const SINGLE = new Set([
  "host",
  "authorization",
  "content-length",
  "content-type",
  "content-encoding",
  "transfer-encoding",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
]);

/** Refuses repeated or contradicting headers. Node joins or drops repeats in `headers`, so a count tells when to look closer. */
export function checkHeaders(request: IncomingMessage): void {
  const { rawHeaders, headers } = request;
  if (rawHeaders.length !== Object.keys(headers).length * 2) {
    const seen = new Set<string>();
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = (rawHeaders[index] as string).toLowerCase();
      if (SINGLE.has(name) && seen.has(name)) {
        throw new GatewayError("invalid_header", { message: `The header "${name}" may be sent only once.` });
      }
      seen.add(name);
    }
  }
  const bearer = headers.authorization;
  const key = headers["x-api-key"];
  if (bearer !== undefined && key !== undefined && bearer.replace(/^Bearer /i, "") !== key) {
    throw new GatewayError("invalid_header", { message: `"authorization" and "x-api-key" name different keys; send one of them.` });
  }
}

/**
 * The path that both routing and guarding see, or a refusal: no absolute form, no empty, dot or encoded segments, no
 * parameters, so that one resource has one spelling.
 */
export function normalPath(url: string): string {
  const queryAt = url.indexOf("?");
  const path = queryAt < 0 ? url : url.slice(0, queryAt);
  if (!/^\/[\w\-.~:@/]*$/.test(path) || path.includes("//") || /\/\.{1,2}(\/|$)/.test(path) || (path.length > 1 && path.endsWith("/"))) {
    throw new GatewayError("invalid_path");
  }
  return path;
}

/** Refuses a `Host` that is malformed or not served here. */
export function checkHost(host: string | undefined, allowed: ReadonlySet<string>): void {
  if (host === undefined || !/^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host)) {
    throw new GatewayError("invalid_header", { message: 'The "host" header is missing or malformed.' });
  }
  if (allowed.size === 0) return;
  const name = host.replace(/:\d+$/, "").toLowerCase();
  if (!allowed.has(name) && !allowed.has(host.toLowerCase())) throw new GatewayError("host_not_allowed");
}

export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(?:127\.|::1$|::ffff:127\.)/.test(address);
}
