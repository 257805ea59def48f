import type { IncomingMessage, ServerResponse } from "node:http";
import type { ChatReply, ChatRequest, Usage } from "../dialects/canonical.ts";
import { toChunks } from "../dialects/chunks.ts";
import type { Route } from "../dialects/dialect.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import type { Outcome } from "../exchange.ts";
import { LiveExchange } from "../live-exchange.ts";
import { wantsStream } from "../upstream/attempt.ts";
import { UpstreamReply } from "../upstream/reply.ts";
import { readJson } from "./body.ts";
import type { ClientSide } from "./client-dialects.ts";
import { ClientWriter } from "./client-writer.ts";
import type { DataPlane } from "./data-plane.ts";
import { checkSteering, clientIp } from "./edge.ts";
import { sendError } from "./errors.ts";
import { pump } from "./pump.ts";

/** Takes one request of the data plane from its body to its settled end. Throws only what happens before there is an exchange. */
export async function serve(
  plane: DataPlane,
  route: Route,
  dialect: ClientSide,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): Promise<void> {
  const exchange = await plane.calls.arriving(receive(plane, route, dialect, request, response, requestId));
  let outcome: Outcome;
  try {
    await committed(plane, exchange);
    await answer(plane, exchange, dialect, response);
    outcome = close(exchange, "complete", 200);
  } catch (thrown) {
    outcome = fail(exchange, asGatewayError(thrown), dialect, response);
  }
  void plane.calls.settle(exchange, outcome);
}

/** Reads a request, and begins its call. */
async function receive(
  plane: DataPlane,
  route: Route,
  dialect: ClientSide,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): Promise<LiveExchange> {
  const startedAt = plane.clock.monotonic();
  const wire = (route.method === "POST" ? await readJson(request, response, plane.settings.server.limits) : undefined) ?? {};
  checkSteering(wire);
  const exchange = new LiveExchange({
    id: requestId,
    operation: route.operation,
    dialect: dialect.name,
    client: { ip: clientIp(request, plane.settings.server.trustedHops), headers: request.headers },
    startedAt,
    wire,
    request: dialect.client.readRequest(route.operation, wire),
  });
  resolveTargets(plane, exchange);
  response.once("close", () => {
    if (!response.writableFinished) exchange.abort(new GatewayError("client_closed"));
  });
  plane.calls.begin(exchange);
  return exchange;
}

/** An unknown model is no error yet: a plugin may refuse the caller first, or choose another model. */
function resolveTargets(plane: DataPlane, exchange: LiveExchange): void {
  if (exchange.operation === "models") return;
  try {
    exchange.targets = plane.catalogue.resolve(exchange.requestedModel);
  } catch (error) {
    exchange.unresolved = asGatewayError(error);
  }
}

/** Runs the chain, but waits no longer than the exchange lives. */
function committed(plane: DataPlane, exchange: LiveExchange): Promise<void> {
  return new Promise((resolve, reject) => {
    exchange.onAbort(reject);
    if (!exchange.aborted) plane.run(exchange).then(resolve, reject);
  });
}

async function answer(plane: DataPlane, exchange: LiveExchange, dialect: ClientSide, response: ServerResponse): Promise<void> {
  const { reply, original } = exchange;
  const { clock } = plane;
  const { limits } = plane.settings.server;
  if (!reply) throw new GatewayError("internal_error", { cause: new Error("the chain ended without a reply") });
  const streaming = wantsStream({ operation: exchange.operation, request: original });
  if (reply.kind === "json" && !streaming) {
    const untouched = reply instanceof UpstreamReply && reply.dialect === dialect.name ? reply.raw : undefined;
    const context = { requestId: exchange.id, request: original };
    const body = untouched ?? Buffer.from(JSON.stringify(dialect.client.writeReply(exchange.operation, reply.body, context)));
    response.writeHead(200, withOwn(exchange, { "content-type": "application/json", "content-length": body.length }));
    await new ClientWriter(exchange, response, { clock, stallMs: limits.stallMs }).whole(body);
    return;
  }
  if (!streaming) throw new GatewayError("internal_error", { cause: new Error("a stream was given where the client asked for none") });
  const streamed = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no" };
  response.writeHead(200, withOwn(exchange, streamed));
  exchange.socket = response.socket ?? undefined;
  const stream = reply.kind === "stream" ? reply : { kind: "stream" as const, stream: fromArray(toChunks(reply.body as ChatReply)) };
  await pump(exchange, stream, response, {
    clock,
    stallMs: limits.stallMs,
    heartbeatMs: limits.heartbeatMs,
    dialect: dialect.client,
    showUsage: (original as ChatRequest).stream_options?.include_usage === true,
  });
}

async function* fromArray<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

/** Adds what every answer has to these headers, and what plugins have to say. */
function withOwn(exchange: LiveExchange, headers: Record<string, string | number>): Record<string, string | number> {
  headers["x-request-id"] = exchange.id;
  headers["request-id"] = exchange.id;
  headers["x-content-type-options"] = "nosniff";
  if (exchange.attempts.length > 0 && exchange.target) {
    headers["x-headgate-provider"] = exchange.target.provider;
    headers["x-headgate-model"] = exchange.target.model;
    headers["x-headgate-attempts"] = String(exchange.attempts.length);
  }
  for (const [name, value] of exchange.headers) headers[name] = value;
  return headers;
}

function fail(exchange: LiveExchange, error: GatewayError, dialect: ClientSide, response: ServerResponse): Outcome {
  const begun = response.headersSent;
  exchange.abort(error);
  exchange.upstream?.destroy();
  if (error.code === "client_closed") {
    response.destroy();
    return close(exchange, "cancelled", 499, error);
  }
  if (begun) {
    if (!response.writableFinished) response.destroy();
    return close(exchange, "cut", 200, error);
  }
  sendError(response, error, dialect.client, exchange.id, Object.fromEntries(exchange.headers));
  return close(exchange, exchange.attempts.length === 0 && error.status < 500 ? "refused" : "failed", error.status, error);
}

function close(exchange: LiveExchange, kind: Outcome["kind"], status: number, error?: GatewayError): Outcome {
  let usage: Usage | null = null;
  for (const attempt of exchange.attempts) usage = sum(usage, attempt.usage);
  return { kind, status, usage, estimated: exchange.estimated, ...(error ? { error } : {}) };
}

function sum(total: Usage | null, more: Usage | undefined): Usage | null {
  if (!total || !more) return total ?? more ?? null;
  return {
    inputTokens: total.inputTokens + more.inputTokens,
    outputTokens: total.outputTokens + more.outputTokens,
    cachedTokens: total.cachedTokens + more.cachedTokens,
    cacheWriteTokens: total.cacheWriteTokens + more.cacheWriteTokens,
    reasoningTokens: total.reasoningTokens + more.reasoningTokens,
  };
}
