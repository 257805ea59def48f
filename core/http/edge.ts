import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { JsonObject } from "../dialects/canonical.ts";
import { invalid, isObject } from "../dialects/checks.ts";
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

/** Where clients put their key. */
const KEYS = ["authorization", "x-api-key", "api-key", "x-goog-api-key"] as const;

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
  checkFraming(request);
  checkKeys(headers);
}

/** Node's parser lets through codings that another reader may not see, or see differently; then the two disagree on where a body ends. */
function checkFraming({ headers, httpVersionMinor }: IncomingMessage): void {
  const coding = headers["transfer-encoding"];
  if (coding === undefined || (coding.toLowerCase() === "chunked" && httpVersionMinor > 0)) return;
  throw new GatewayError("invalid_header", { message: '"transfer-encoding" may only be "chunked", over HTTP/1.1.' });
}

function checkKeys(headers: IncomingHttpHeaders): void {
  let found: string | undefined;
  for (const name of KEYS) {
    const value = headers[name];
    if (typeof value !== "string") continue;
    const key = name === "authorization" ? value.replace(/^Bearer +/i, "") : value;
    if (found !== undefined && key !== found) {
      throw new GatewayError("invalid_header", { message: `The headers name different API keys; send one of ${KEYS.join(", ")}.` });
    }
    found = key;
  }
}

/** By its name, or by what keys look like: `key=` alone may be a filter of our own API. */
const QUERY_KEY = /[?&](?:api[-_]?key|access[-_]?token)=|=(?:hg_|sk-|AIza|eyJ)/i;

/** Refuses a key in the query: addresses end up in logs, histories and referrers. */
export function checkQuery(url: string): void {
  if (!QUERY_KEY.test(url)) return;
  throw new GatewayError("invalid_api_key", { message: `A key does not belong into the address; send it as one of ${KEYS.join(", ")}.` });
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

/**
 * Fields by which some gateways let a caller choose where a request goes and with whose credentials. Here the config says
 * that, and a provider that is such a gateway must not be steered through us either.
 */
const STEERING = ["api_base", "base_url", "custom_host", "extra_headers", "api_key", "organization"] as const;
const TAKEN_FROM_CONFIG = "is for the gateway's config to say, not for a request";

export function checkSteering(body: JsonObject): void {
  const { metadata } = body;
  for (const name of STEERING) {
    if (body[name] !== undefined) throw invalid(name, TAKEN_FROM_CONFIG);
    // As a label of the caller's own, an organization steers nothing.
    if (isObject(metadata) && metadata[name] !== undefined && name !== "organization") throw invalid(`metadata.${name}`, TAKEN_FROM_CONFIG);
  }
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

/**
 * Whether the caller is on this machine; one that a proxy here speaks for is not, nor a web page in a browser here, also
 * when it comes by a name of its own that leads to this machine (DNS rebinding).
 */
export function isLocal({ socket, headers }: IncomingMessage): boolean {
  const { remoteAddress } = socket;
  const { host = "", origin } = headers;
  const proxied = headers.forwarded !== undefined || headers["x-forwarded-for"] !== undefined;
  const loopbackName = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i.test(host);
  const ownPage = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  const crossSite = headers["sec-fetch-site"] === "cross-site" || !ownPage || !loopbackName;
  return !proxied && !crossSite && remoteAddress !== undefined && /^(?:127\.|::1$|::ffff:127\.)/.test(remoteAddress);
}

/**
 * The caller's address. Each of `trustedHops` proxies has added who it was asked by to the right of `X-Forwarded-For`; what
 * stands further left anybody can have made up. A request that came over fewer has the address of its connection.
 */
export function clientIp({ socket, headers }: IncomingMessage, trustedHops: number): string {
  const { remoteAddress = "" } = socket;
  const forwarded = headers["x-forwarded-for"];
  if (trustedHops === 0 || forwarded === undefined) return remoteAddress;
  const entry = String(forwarded).split(",").at(-trustedHops)?.trim() ?? "";
  // Some proxies add the port.
  const address = /^\[([0-9a-f:.]+)\](?::\d+)?$/i.exec(entry)?.[1] ?? /^([\d.]+):\d+$/.exec(entry)?.[1] ?? entry;
  return isIP(address) === 0 ? remoteAddress : address;
}
