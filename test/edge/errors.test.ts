import { ERRORS, type ErrorCode, type GatewayConfig, GatewayError } from "headgate";
import { cut, json, type Script, silence } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { CHAT, chat, type Edge, type EdgeOptions, MESSAGES, rawPost, startEdge } from "../support/edge.ts";
import { type Answered, expectError } from "../support/error-body.ts";
import { sendRaw } from "../support/raw-http.ts";

/** A gateway that can be brought to say the code, and how to bring it there on one of the two chat paths. */
interface Provocation {
  readonly config?: EdgeOptions;
  provoke(edge: Edge, path: string): Promise<Answered>;
}

const raw = async (edge: Edge, bytes: string): Promise<Answered> => {
  const { responses } = await sendRaw(edge.port, bytes, { responses: 1, wait: 5_000 });
  return responses[0] ?? expect.fail("no answer");
};
const sending = (change: object): Provocation => ({ provoke: (edge, path) => edge.post(path, chat(change)) });
const saying = (script: Script, change: object = {}): Provocation => ({
  provoke: (edge, path) => {
    edge.upstream.next(script);
    return edge.post(path, chat(change));
  },
});
const wires = (change: (request: string) => string): Provocation => ({
  provoke: (edge, path) => raw(edge, change(rawPost(undefined, path))),
});
const under = (config: EdgeOptions, { provoke }: Provocation): Provocation => ({ config, provoke });
const plugged = (handle: (exchange: { reply: unknown }, next: () => Promise<void>) => unknown, server?: GatewayConfig["server"]) =>
  under(
    { plugins: [{ name: "fault", handle: async (exchange, next) => void (await handle(exchange, next)) }], ...(server && { server }) },
    sending({}),
  );
const throwing = (error: () => Error) =>
  plugged(() => {
    throw error();
  });
const whole = json({ id: "x" });

type SaidByPlugins =
  | "account_suspended"
  | "insufficient_quota"
  | "conflict"
  | "idempotency_conflict"
  | "idempotency_mismatch"
  | "dependency_unavailable";

/** Every code that a client can come to see, and the shortest way there. */
const PROVOCATIONS: Record<Exclude<ErrorCode, "client_closed" | "overloaded">, Provocation> = {
  ...(Object.fromEntries(
    // Said by plugins, whose own tests know the ways there.
    (
      [
        "account_suspended",
        "insufficient_quota",
        "conflict",
        "idempotency_conflict",
        "idempotency_mismatch",
        "dependency_unavailable",
      ] as const
    ).map((code) => [code, throwing(() => new GatewayError(code))]),
  ) as Record<SaidByPlugins, Provocation>),
  invalid_request: sending({ messages: [] }),
  invalid_json: { provoke: (edge, path) => edge.post(path, "{") },
  json_too_deep: { provoke: (edge, path) => edge.post(path, `{"a":${"[".repeat(99)}${"]".repeat(99)}}`) },
  invalid_encoding: { provoke: (edge, path) => edge.post(path, "{}", { "content-encoding": "gzip" }) },
  invalid_path: { provoke: (edge, path) => edge.post(`${path}/`, chat()) },
  invalid_header: wires((request) => request.replace("host: gateway", "host: a@b")),
  invalid_http: wires((request) =>
    request.replace(/content-length: \d+/, "transfer-encoding: chunked").replace("\r\n\r\n", "\r\n\r\nzz\r\n"),
  ),
  headers_too_large: wires((request) => request.replace("\r\n\r\n", `\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`)),
  host_not_allowed: under(
    { server: { allowedHosts: ["other"] } },
    wires((request) => request),
  ),
  unsupported_parameter: under(
    { speaks: "cohere" },
    {
      provoke: (edge, path) => edge.post(path, chat(path === CHAT ? { n: 2 } : { container: "x" })),
    },
  ),
  unsupported_operation: under(
    { speaks: "anthropic-messages" },
    { provoke: (edge) => edge.post("/v1/embeddings", { model: "scripted/m", input: "Hi" }) },
  ),
  invalid_api_key: throwing(() => new GatewayError("invalid_api_key")),
  permission_denied: throwing(() => new GatewayError("permission_denied")),
  not_found: { provoke: (edge, path) => edge.post(`${path}/nothing`, chat()) },
  model_not_found: sending({ model: "nobody/nothing" }),
  method_not_allowed: { provoke: (edge, path) => edge.get(path) },
  request_timeout: under(
    { server: { limits: { headersMs: 100, requestMs: 200 } } },
    wires((request) => request.slice(0, -1)),
  ),
  body_too_large: { provoke: (edge, path) => edge.post(path, " ".repeat(4 * 1024 * 1024 + 1)) },
  unsupported_media_type: { provoke: (edge, path) => edge.post(path, "{}", { "content-type": "text/plain" }) },
  rate_limited: throwing(() => new GatewayError("rate_limited", { retryAfter: 3600 })),
  internal_error: plugged(async (exchange) => {
    exchange.reply = { kind: "stream", stream: (async function* () {})() };
  }),
  plugin_failed: throwing(() => new TypeError("Cannot read properties of undefined (reading 'sk-provider-secret')")),
  plugin_timeout: plugged(() => new Promise(() => undefined), { limits: { pluginMs: 50 } }),
  upstream_rejected: saying(json({ error: { message: "No such tool.", type: "invalid_request_error" } }, { status: 422 })),
  upstream_auth_failed: saying(json({ error: { message: "Incorrect API key: sk-provider-secret" } }, { status: 401 })),
  upstream_rate_limited: saying(json({ error: { message: "Slow down." } }, { status: 429, headers: { "retry-after": "86400" } })),
  upstream_overloaded: saying(json({ error: { message: "Overloaded." } }, { status: 503 })),
  upstream_failed: saying({ status: 500, body: "Error: connect ECONNREFUSED 10.0.0.1:5432\n    at /srv/app/db.js:12:7" }),
  upstream_unreachable: saying({ framing: "raw", body: "", end: "reset" }),
  upstream_invalid: saying({ headers: { "content-type": "text/html" }, body: "<html>node:internal</html>" }),
  upstream_cut: saying(cut(whole, { bytes: 5 })),
  upstream_timeout: under({ upstream: { firstContentMs: 50 } }, saying(silence())),
  deadline_exceeded: under({ server: { limits: { callMs: 50 } } }, saying(silence())),
  shutting_down: {
    async provoke(edge, path) {
      edge.upstream.next(silence());
      const waiting = edge.post(path, chat());
      await edge.upstream.call(edge.upstream.calls.length);
      void edge.gateway.stop();
      return waiting;
    },
  },
};

describe.each(Object.entries(PROVOCATIONS) as [ErrorCode, Provocation][])("%s", (code, { config, provoke }) => {
  it.each([
    [CHAT, "openai"],
    [MESSAGES, "anthropic"],
  ] as const)("on %s says so as that dialect's clients expect, and nothing more", async (path, dialect) => {
    const edge = await startEdge(config);
    const answer = await provoke(edge, path).finally(edge.stop);
    // What comes before a path is read, and embeddings, is OpenAI's on both.
    const shape = code === "headers_too_large" || code === "unsupported_operation" ? "openai" : dialect;
    const seen = expectError(answer, shape);
    if (shape === "openai") expect(seen.code).toBe(code);
    expect(answer.status).toBe(code === "upstream_rejected" ? 422 : ERRORS[code].status);
    expect(answer.headers["x-should-retry"]).toBe(ERRORS[code].retry ? undefined : "false");
  });
});
