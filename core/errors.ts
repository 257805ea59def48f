/**
 * Every error that Headgate can show a client, in one table. A code is stable and documented; its status, its type in
 * each client dialect and whether a retry can help follow from it.
 */

interface ErrorRow {
  /** HTTP status. */
  readonly status: number;
  /** `error.type` on OpenAI routes. */
  readonly openai: string;
  /** `error.type` on Anthropic routes. */
  readonly anthropic: string;
  /** Whether the same request may succeed when sent again; becomes `x-should-retry`. */
  readonly retry: boolean;
  /** What the client reads when the thrower says nothing more exact. */
  readonly message: string;
}

const invalid = { openai: "invalid_request_error", anthropic: "invalid_request_error", retry: false } as const;
const broken = { openai: "api_error", anthropic: "api_error", retry: true } as const;
const busy = { openai: "api_error", anthropic: "overloaded_error", retry: true } as const;

export const ERRORS = {
  invalid_request: { ...invalid, status: 400, message: "The request is not valid." },
  invalid_json: { ...invalid, status: 400, message: "The body is not valid JSON." },
  json_too_deep: { ...invalid, status: 400, message: "The body is nested too deeply." },
  invalid_encoding: { ...invalid, status: 400, message: "The body could not be decoded." },
  invalid_path: { ...invalid, status: 400, message: "The request path is not in its plain, normalised form." },
  invalid_header: { ...invalid, status: 400, message: "A request header is missing, repeated or malformed." },
  invalid_http: { ...invalid, status: 400, message: "The request is not valid HTTP." },
  headers_too_large: { ...invalid, status: 431, message: "The request headers are larger than this gateway accepts." },
  host_not_allowed: { ...invalid, status: 421, message: "This gateway does not answer for that host." },
  unsupported_parameter: { ...invalid, status: 400, message: "The chosen model cannot express a field of this request." },
  unsupported_operation: { ...invalid, status: 400, message: "The chosen provider does not offer this operation." },
  invalid_api_key: {
    status: 401,
    openai: "authentication_error",
    anthropic: "authentication_error",
    retry: false,
    message: "The API key is missing or not valid.",
  },
  permission_denied: {
    status: 403,
    openai: "permission_error",
    anthropic: "permission_error",
    retry: false,
    message: "This key may not do that.",
  },
  account_suspended: {
    status: 403,
    openai: "permission_error",
    anthropic: "permission_error",
    retry: false,
    message: "This account is not active.",
  },
  not_found: {
    status: 404,
    openai: "invalid_request_error",
    anthropic: "not_found_error",
    retry: false,
    message: "There is nothing at this path.",
  },
  model_not_found: {
    status: 404,
    openai: "invalid_request_error",
    anthropic: "not_found_error",
    retry: false,
    message: "There is no such model.",
  },
  method_not_allowed: { ...invalid, status: 405, message: "This path does not take that method." },
  request_timeout: {
    status: 408,
    openai: "timeout_error",
    anthropic: "timeout_error",
    retry: true,
    message: "The request did not arrive in time.",
  },
  body_too_large: {
    status: 413,
    openai: "invalid_request_error",
    anthropic: "request_too_large",
    retry: false,
    message: "The body is larger than this gateway accepts.",
  },
  unsupported_media_type: { ...invalid, status: 415, message: "This path takes application/json." },
  rate_limited: { status: 429, openai: "rate_limit_error", anthropic: "rate_limit_error", retry: true, message: "Too many requests." },
  insufficient_quota: {
    status: 429,
    openai: "insufficient_quota",
    anthropic: "rate_limit_error",
    retry: false,
    message: "The quota does not cover this request.",
  },
  conflict: { ...invalid, status: 409, message: "This contradicts something that is there already." },
  idempotency_conflict: { ...broken, status: 409, message: "A request with this idempotency key is still being handled." },
  idempotency_mismatch: { ...invalid, status: 422, message: "This idempotency key was used for a different request." },
  client_closed: { ...broken, status: 499, message: "The client closed the connection." },
  internal_error: { ...broken, status: 500, message: "The gateway failed to handle this request." },
  plugin_failed: { ...broken, status: 500, message: "A plugin of this gateway failed." },
  plugin_timeout: { ...broken, status: 504, message: "A plugin of this gateway did not finish in time." },
  upstream_rejected: { ...invalid, status: 400, message: "The provider rejected the request." },
  upstream_auth_failed: { ...broken, status: 502, retry: false, message: "The provider did not accept this gateway's credentials." },
  upstream_rate_limited: {
    status: 429,
    openai: "rate_limit_error",
    anthropic: "rate_limit_error",
    retry: true,
    message: "The provider is limiting the rate of requests.",
  },
  upstream_overloaded: { ...busy, status: 503, message: "The provider is overloaded." },
  upstream_failed: { ...broken, status: 502, message: "The provider failed." },
  upstream_unreachable: { ...broken, status: 502, message: "The provider could not be reached." },
  upstream_invalid: { ...broken, status: 502, message: "The provider's answer could not be understood." },
  upstream_cut: { ...broken, status: 502, message: "The provider's answer ended before it was complete." },
  upstream_timeout: { ...broken, status: 504, message: "The provider did not answer in time." },
  deadline_exceeded: { ...broken, status: 504, message: "The request did not finish in time." },
  dependency_unavailable: { ...busy, status: 503, message: "Something that this gateway depends on is not available." },
  overloaded: { ...busy, status: 503, message: "This gateway is at capacity." },
  shutting_down: { ...busy, status: 503, message: "This gateway is shutting down." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetails {
  /** Shown to the client instead of the table's message. Must hold no secret, path, host or stack. */
  message?: string;
  /** The request field at fault, as a path such as `messages[2].content`. */
  param?: string | null;
  /** Overrides the table's status (a provider's own 4xx is relayed as it came). */
  status?: number;
  /** Seconds after which a retry makes sense; sent as `retry-after` (at most 60) and `retry-after-ms`. */
  retryAfter?: number;
  /** Overrides the table's verdict. */
  retry?: boolean;
  /** Further response headers. */
  headers?: Record<string, string>;
  /** Kept for logs, never shown. */
  cause?: unknown;
  /** Whether the message repeats what the client sent, so that no log may have it. */
  quotes?: boolean;
}

/**
 * A refusal or failure on its way to the client. Throwing one is how a plugin says no: the chain passes it on unchanged,
 * and the error edge writes it in the client's own dialect.
 */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly param: string | null;
  readonly retry: boolean;
  readonly retryAfter: number | undefined;
  readonly headers: Record<string, string> | undefined;
  readonly quotes: boolean;
  /** The plugin that failed, when one did; set by the chain. */
  plugin?: string;

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    super(details.message ?? ERRORS[code].message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status ?? ERRORS[code].status;
    this.param = details.param ?? null;
    this.retry = details.retry ?? ERRORS[code].retry;
    this.retryAfter = details.retryAfter;
    this.headers = details.headers;
    this.quotes = details.quotes ?? false;
  }

  /** `error.type` as the given client dialect spells it. */
  type(dialect: "openai" | "anthropic"): string {
    return ERRORS[this.code][dialect];
  }
}

/** Whatever was thrown, as something a client may see; a foreign error becomes `internal_error` with its cause kept. */
export function asGatewayError(thrown: unknown): GatewayError {
  return thrown instanceof GatewayError ? thrown : new GatewayError("internal_error", { cause: thrown });
}
