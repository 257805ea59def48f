import type { JsonObject } from "../dialects/canonical.ts";
import type { UpstreamErrorInfo } from "../dialects/dialect.ts";
import { GatewayError } from "../errors.ts";
import type { Provider } from "../provider.ts";

/** Statuses by which a provider blames the request itself: the client is told what the provider said. */
const CLIENT_FAULTS = new Set([400, 404, 409, 413, 422]);
const LONGEST_MESSAGE = 1_000;
/** Where a request has texts of its users; names of fields are none. */
const PROMPTS = ["messages", "input", "system", "tools"];
/** So many characters in a row are no chance: of any text twice as long that a message repeats, one piece is found. */
const TELLING = 12;
/** In characters; half a million take some 10 ms to look through. */
const LONGEST_PROMPT = 512 * 1024;

/**
 * A provider's error as the client is to see it. Faults of the request keep their status and message; the gateway's own
 * credentials being refused is nobody's business but the operator's, and a broken provider's text is not passed on. What
 * repeats a part of the prompt in `asked`, the client's own body, is for the client alone.
 */
export function relayError(
  status: number,
  headers: Readonly<Record<string, unknown>>,
  said: UpstreamErrorInfo,
  provider: Pick<Provider, "name" | "headers">,
  asked: JsonObject,
): GatewayError {
  const info = withoutCredentials(said, provider);
  const message = info.message?.slice(0, LONGEST_MESSAGE);
  const quotes = message !== undefined && repeats(message, asked);
  const heard = quotes ? "(its message repeats the request)" : (message ?? "");
  const cause = new Error(`${provider.name} answered ${status}: ${info.type ?? ""} ${info.code ?? ""} ${heard}`.trim());
  const kind = `${info.type ?? ""} ${info.code ?? ""}`;
  if (status === 401 || status === 403 || status === 407) return new GatewayError("upstream_auth_failed", { cause });
  if (status === 429 || /rate_limit|RESOURCE_EXHAUSTED/i.test(kind)) {
    const spent = /insufficient_quota|billing/i.test(kind);
    const retryAfter = readRetryAfter(headers);
    return new GatewayError("upstream_rate_limited", { cause, retry: !spent, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }
  if (status === 503 || status === 529 || /overloaded|UNAVAILABLE/i.test(kind)) {
    const retryAfter = readRetryAfter(headers);
    return new GatewayError("upstream_overloaded", { cause, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }
  if (status === 408 || status === 504) return new GatewayError("upstream_timeout", { cause });
  if (CLIENT_FAULTS.has(status)) {
    return new GatewayError("upstream_rejected", {
      status,
      cause,
      param: info.param ?? null,
      quotes,
      ...(message ? { message } : {}),
    });
  }
  return new GatewayError("upstream_failed", { cause });
}

/** Of a prompt too long to be looked through it is taken for granted. */
function repeats(message: string, asked: JsonObject): boolean {
  const prompt = JSON.stringify(PROMPTS.map((name) => asked[name]));
  if (prompt.length > LONGEST_PROMPT) return true;
  for (let at = 0; at + TELLING <= message.length; at += TELLING) if (prompt.includes(message.slice(at, at + TELLING))) return true;
  return false;
}

/** Seconds, from `retry-after-ms` or `retry-after` (seconds or an HTTP date is ignored as too vague); garbage and negatives are ignored. */
function readRetryAfter(headers: Readonly<Record<string, unknown>>): number | undefined {
  const ms = Number(headers["retry-after-ms"] ?? Number.NaN);
  const seconds = Number.isFinite(ms) ? ms / 1000 : Number(headers["retry-after"] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

/** Providers quote what they were sent; our credential is for no client, and for no log. */
function withoutCredentials(info: UpstreamErrorInfo, provider: Pick<Provider, "headers">): UpstreamErrorInfo {
  const secrets = Object.values(provider.headers())
    .map((value) => value.replace(/^Bearer /i, ""))
    .filter((secret) => secret.length >= 8);
  const clean = (text: string) => secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text);
  return Object.fromEntries(Object.entries(info).map(([name, text]: [string, string]) => [name, clean(text)]));
}
