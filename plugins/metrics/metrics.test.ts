import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import {
  type ApiRequest,
  type Attempt,
  bind,
  Catalogue,
  Clock,
  Events,
  GatewayError,
  Metrics,
  type PluginHooks,
  type Usage,
} from "headgate";
import { describePlugin, type ExchangeParts, exchange, fakeServices } from "headgate/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { metrics } from "./index.ts";

const target = { provider: "openai", model: "gpt-5-mini" };
const usage: Usage = { inputTokens: 100, outputTokens: 20, cachedTokens: 40, cacheWriteTokens: 0, reasoningTokens: 5 };

/** Knows one model, at 1,000 nano-dollars a token. */
const catalogue: Catalogue = {
  resolve: () => [target],
  aliases: () => [],
  providers: () => ["openai"],
  models: () => [],
  find: ({ provider, model }) => (provider === target.provider && model === target.model ? { id: model, provider } : undefined),
  cost: ({ model }, { inputTokens, outputTokens }) => (model === target.model ? (inputTokens + outputTokens) * 1000 : null),
  start() {},
  stop() {},
};

describePlugin("metrics", metrics, { services: () => [bind(Catalogue, catalogue)] });

function setup(options: Parameters<typeof metrics>[0] = {}, realClock = false) {
  const services = fakeServices([bind(Catalogue, catalogue)]);
  if (realClock) services.scope.bind(bind(Clock, (Clock.fallback as () => Clock)()));
  const { definition } = metrics(options);
  const build = (): PluginHooks => definition.setup(definition.options.parse(options), services.scope.inject(definition.inject ?? {}));
  return { ...services, hooks: build(), build };
}

type Plugin = ReturnType<typeof setup>;

async function scrape({ hooks }: Pick<Plugin, "hooks">): Promise<string> {
  const response = await hooks.routes?.[0]?.handle({} as ApiRequest);
  expect(response?.type).toMatch(/^text\/plain; version=0\.0\.4/);
  return response?.body as string;
}

/** The value of one sample, by its name and labels as Prometheus writes them. */
function sample(text: string, series: string): number | undefined {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

async function call(
  { hooks, clock }: Pick<Plugin, "hooks" | "clock">,
  parts: ExchangeParts & { attempt?: Partial<Attempt> } = {},
  outcome = {},
) {
  const { attempt, ...rest } = parts;
  const one = exchange({ targets: [target], startedAt: clock.monotonic(), ...rest });
  await hooks.handle?.(one, async () => {
    if (attempt) one.attempts.push({ id: "att_1", target, startedAt: clock.monotonic(), ...attempt });
  });
  await one.settle(outcome);
  return one;
}

afterEach(() => vi.unstubAllEnvs());

describe("/metrics", () => {
  it("counts a finished call with its time, tokens, cost and overhead", async () => {
    const plugin = setup();
    const one = exchange({ targets: [target], request: { stream: true } });
    await plugin.hooks.handle?.(one, async () => {
      await plugin.clock.advance(2);
      one.attempts.push({ id: "att_1", target, startedAt: 2, firstContentAt: 302, endedAt: 1002, status: 200, usage });
    });
    expect(sample(await scrape(plugin), "headgate_requests_in_flight")).toBe(1);
    one.timings.push({ plugin: "auth", ms: 2 });
    await plugin.clock.advance(1001);
    await one.settle({ usage });

    const text = await scrape(plugin);
    const expected: Record<string, number> = {
      'headgate_requests_total{operation="chat",dialect="openai-chat",provider="openai",model="gpt-5-mini",status="200",outcome="complete"}': 1,
      headgate_requests_in_flight: 0,
      'headgate_request_duration_seconds_sum{operation="chat",provider="openai",model="gpt-5-mini"}': 1.003,
      'headgate_time_to_first_token_seconds_sum{provider="openai",model="gpt-5-mini"}': 0.302,
      'headgate_overhead_seconds_sum{operation="chat"}': 0.003,
      'headgate_plugin_duration_seconds_sum{plugin="auth"}': 0.002,
      'headgate_attempts_total{provider="openai",model="gpt-5-mini"}': 1,
      'headgate_tokens_total{provider="openai",model="gpt-5-mini",type="input"}': 100,
      'headgate_tokens_total{provider="openai",model="gpt-5-mini",type="cached"}': 40,
      'headgate_tokens_total{provider="openai",model="gpt-5-mini",type="output"}': 20,
      'headgate_tokens_total{provider="openai",model="gpt-5-mini",type="reasoning"}': 5,
      'headgate_cost_dollars_total{provider="openai",model="gpt-5-mini"}': 0.00012,
      'gen_ai_client_operation_duration_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini"}': 1,
      'gen_ai_client_operation_time_to_first_chunk_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini"}': 0.3,
      'gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini",gen_ai_token_type="output"}': 20,
    };
    expect(Object.fromEntries(Object.keys(expected).map((series) => [series, sample(text, series)]))).toEqual(expected);
    expect(text).toMatch(/# TYPE headgate_overhead_seconds histogram/);
  });

  it("counts a refusal that reached no provider, and a failed attempt by its error", async () => {
    const plugin = setup();
    await call(plugin, { targets: [] }, { kind: "refused", status: 401 });
    await call(plugin, { attempt: { endedAt: 1, error: new GatewayError("upstream_timeout") } }, { kind: "failed", status: 504 });
    const text = await scrape(plugin);
    const refused = 'operation="chat",dialect="openai-chat",provider="none",model="other",status="401",outcome="refused"';
    expect(sample(text, `headgate_requests_total{${refused}}`)).toBe(1);
    expect(sample(text, 'headgate_attempts_total{provider="openai",model="gpt-5-mini",error="upstream_timeout"}')).toBe(1);
    expect(text).toMatch(/gen_ai_client_operation_duration_seconds_count\{.*error_type="upstream_timeout"\} 1/);
  });

  it("says when a price is unknown instead of counting nothing", async () => {
    const plugin = setup();
    await call(plugin, { attempt: { target: { provider: "openai", model: "new-model" }, endedAt: 1, usage } });
    const text = await scrape(plugin);
    expect(sample(text, 'headgate_unknown_price_total{provider="openai",model="new-model"}')).toBe(1);
    expect(text).not.toContain("headgate_cost_dollars_total{");
  });

  it("names an unlisted model that the config chose, but not one that a client named", async () => {
    const plugin = setup();
    const targets = [{ provider: "azure", model: "my-deployment" }];
    await call(plugin, { request: { model: "fast" }, targets });
    await call(plugin, { request: { model: "azure/my-deployment" }, targets });
    const text = await scrape(plugin);
    for (const model of ["my-deployment", "other"]) {
      expect(text).toMatch(new RegExp(`headgate_requests_total\\{.*provider="azure",model="${model}".*\\} 1`));
    }
  });

  it("does not grow with the names, users and paths that clients make up (F9)", async () => {
    const plugin = setup();
    const made = (i: number) => {
      const name = `made-up-${i}`;
      return {
        request: { model: name, user: name },
        headers: { "user-agent": name },
        targets: i % 2 ? [] : [{ provider: "openai", model: name }],
      };
    };
    await call(plugin, made(0));
    await call(plugin, made(1));
    const before = (await scrape(plugin)).split("\n").length;
    for (let i = 2; i < 10_002; i++) await call(plugin, made(i));
    const text = await scrape(plugin);
    expect(text.split("\n").length - before).toBeLessThanOrEqual(5);
    expect(text).not.toContain("made-up");
  });

  it("shows plugin faults once, even while the chain before a reload still drains", async () => {
    const plugin = setup();
    await plugin.hooks.start?.();
    const reloaded = plugin.build();
    await reloaded.start?.();
    plugin.scope.get(Events).emit("plugin.failed", { plugin: "auth", phase: "before", failMode: "closed", error: new Error("x") });
    await plugin.hooks.stop?.();
    expect(sample(await scrape(plugin), 'headgate_plugin_faults_total{plugin="auth",phase="before",fail_mode="closed"}')).toBe(1);
    await reloaded.stop?.();
  });

  it("shows event-loop delay and memory while started, and no more after", async () => {
    const plugin = setup();
    await plugin.hooks.start?.();
    const text = await scrape(plugin);
    expect(sample(text, 'headgate_event_loop_delay_seconds{quantile="0.99"}')).toBeLessThan(1);
    expect(sample(text, 'headgate_memory_bytes{kind="rss"}')).toBeGreaterThan(1e6);
    await plugin.hooks.stop?.();
    expect(await scrape(plugin)).not.toMatch(/event_loop|memory_bytes/);
  });

  it("is for operators, and shows what others record in the same registry", async () => {
    const plugin = setup();
    expect(plugin.hooks.routes).toMatchObject([{ method: "GET", path: "/metrics", access: "operator" }]);
    plugin.scope.get(Metrics).counter("headgate_log_lines_dropped_total", { help: "Log lines lost." }).add(3);
    expect(sample(await scrape(plugin), "headgate_log_lines_dropped_total")).toBe(3);
  });
});

interface Received {
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  // biome-ignore lint/suspicious/noExplicitAny: OTLP JSON, looked into by path
  readonly body: any;
}

async function collector(): Promise<{ url: string; received: Received[]; server: Server }> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    received.push({ path: request.url ?? "", headers: request.headers, body: JSON.parse(body) });
    response.setHeader("content-type", "application/json").end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, server };
}

function attributesOf(span: { attributes: { key: string; value: Record<string, unknown> }[] }): Record<string, unknown> {
  return Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

describe("OpenTelemetry", () => {
  it("stays off, and unloaded, while neither the config nor OTEL_* names a collector", async () => {
    const plugin = setup();
    await plugin.hooks.start?.();
    await call(plugin);
    await plugin.hooks.stop?.();
    expect(await scrape(plugin)).not.toContain("headgate_telemetry");
  });

  it.each([[{ OTEL_SDK_DISABLED: "true" }], [{ OTEL_METRICS_EXPORTER: "none", OTEL_TRACES_EXPORTER: "none" }]])(
    "is switched off by %o",
    async (variables) => {
      const { url, received, server } = await collector();
      for (const [name, value] of Object.entries({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...variables })) vi.stubEnv(name, value);
      const plugin = setup({}, true);
      await plugin.hooks.start?.();
      await call(plugin);
      await plugin.hooks.stop?.();
      server.close();
      expect(received).toEqual([]);
    },
  );

  it("sends metrics and GenAI spans where OTEL_* says, under the client's trace, without content", async () => {
    const { url, received, server } = await collector();
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    vi.stubEnv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue");
    vi.stubEnv("OTEL_SERVICE_NAME", "edge-gateway");
    const plugin = setup({}, true);
    await plugin.hooks.start?.();
    const headers = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
    const content = "canary-prompt";
    const error = new GatewayError("upstream_overloaded");
    const request = { model: "alias", temperature: 0.5, messages: [{ role: "user" as const, content }] };
    const one = exchange({ targets: [target], headers, request });
    await plugin.hooks.handle?.(one, async () => {
      one.attempts.push({ id: "att_1", target, startedAt: 1, endedAt: 2, status: 529, error });
      one.attempts.push({ id: "att_2", target, startedAt: 2, endedAt: 5, status: 200, usage });
    });
    const message = { role: "assistant" as const, content };
    const choices = [{ index: 0, finish_reason: "stop" as const, message }];
    one.reply = { kind: "json", body: { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "gpt-5-mini-2026", choices } };
    await one.settle({ usage });
    await plugin.hooks.stop?.();
    server.close();

    expect(received.map(({ path }) => path).sort()).toEqual(["/v1/metrics", "/v1/traces"]);
    expect(received.every(({ headers }) => headers["x-team"] === "blue")).toBe(true);
    expect(JSON.stringify(received)).not.toContain(content);
    const traces = received.find(({ path }) => path === "/v1/traces")?.body.resourceSpans[0];
    expect(attributesOf(traces.resource)).toMatchObject({ "service.name": "edge-gateway" });
    const spans = traces.scopeSpans[0].spans;
    const own = spans.find((span: { name: string; parentSpanId: string }) => span.parentSpanId === "b7ad6b7169203331");
    const [failed, answered] = spans.filter((span: { parentSpanId: string }) => span.parentSpanId === own.spanId);
    expect(spans.every((span: { traceId: string }) => span.traceId === "0af7651916cd43dd8448eb211c80319c")).toBe(true);
    expect(attributesOf(own)).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "alias",
      "headgate.outcome": "complete",
    });
    expect(own).toMatchObject({ name: "chat gpt-5-mini", kind: 2 });
    expect(failed).toMatchObject({ kind: 3, status: { code: 2, message: "upstream_overloaded" } });
    expect(attributesOf(failed)).toMatchObject({ "error.type": "upstream_overloaded", "http.response.status_code": 529 });
    expect(attributesOf(answered)).toMatchObject({
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-5-mini",
      "gen_ai.request.temperature": 0.5,
      "gen_ai.response.model": "gpt-5-mini-2026",
      "gen_ai.usage.input_tokens": 100,
      "gen_ai.usage.output_tokens": 20,
      "gen_ai.usage.cache_read.input_tokens": 40,
    });
    const metricNames = received
      .find(({ path }) => path === "/v1/metrics")
      ?.body.resourceMetrics[0].scopeMetrics.flatMap((scope: { metrics: { name: string }[] }) => scope.metrics.map(({ name }) => name));
    expect(metricNames).toEqual(
      expect.arrayContaining(["headgate_requests_total", "gen_ai.client.operation.duration", "gen_ai.client.token.usage"]),
    );
  });

  it("sends to the endpoint and with the headers of the config", async () => {
    const { url, received, server } = await collector();
    const plugin = setup({ otlp: { endpoint: `${url}/otel/`, headers: { "x-key": "k" }, metrics: false } }, true);
    await plugin.hooks.start?.();
    await call(plugin, { attempt: { endedAt: 1 } });
    await plugin.hooks.stop?.();
    server.close();
    expect(received).toMatchObject([{ path: "/otel/v1/traces", headers: { "x-key": "k" } }]);
  });

  it("loses nothing to clients whose own traces are not sampled", async () => {
    const { url, received, server } = await collector();
    const plugin = setup({ otlp: { endpoint: url, metrics: false } }, true);
    await plugin.hooks.start?.();
    const headers = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00" };
    for (let i = 0; i < 3_000; i++) await call(plugin, { headers, attempt: { endedAt: 1 } });
    await call(plugin, { attempt: { endedAt: 1 } });
    await plugin.hooks.stop?.();
    server.close();
    expect(received.flatMap(({ body }) => body.resourceSpans[0].scopeSpans[0].spans)).toHaveLength(2);
  });

  it("goes on at full speed with a collector that accepts and never answers: telemetry is dropped and counted (H7)", async () => {
    const sockets = new Set<Socket>();
    const hole = createTcpServer((socket) => sockets.add(socket.on("error", () => sockets.delete(socket)))).listen(0, "127.0.0.1");
    await once(hole, "listening");
    const endpoint = `http://127.0.0.1:${(hole.address() as AddressInfo).port}`;
    const plugin = setup({ otlp: { endpoint, timeoutMs: 300, intervalMs: 1000 } }, true);
    await plugin.hooks.start?.();
    const began = performance.now();
    for (let i = 0; i < 5_000; i++) await call(plugin, { attempt: { endedAt: 1, usage } });
    expect(performance.now() - began).toBeLessThan(3_000);
    const stopping = performance.now();
    await plugin.hooks.stop?.();
    expect(performance.now() - stopping).toBeLessThan(4_000);
    const text = await scrape(plugin);
    expect(sample(text, "headgate_telemetry_spans_dropped_total")).toBeGreaterThan(7_000);
    expect(sample(text, 'headgate_telemetry_push_failures_total{signal="traces"}')).toBeGreaterThan(0);
    expect(plugin.logger.lines.filter(({ level }) => level === "warn")).toHaveLength(2);
    for (const socket of sockets) socket.destroy();
    hole.close();
  });
});
