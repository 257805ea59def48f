import type { ChatReply, ChatRequest, EmbeddingsRequest, Json, JsonObject, Usage } from "../dialects/canonical.ts";
import type { Dialect, UpstreamDialect } from "../dialects/dialect.ts";
import { GatewayError } from "../errors.ts";
import type { Attempt, Target } from "../exchange.ts";
import type { LiveExchange } from "../live-exchange.ts";
import type { Provider } from "../provider.ts";
import type { Clock } from "../services/clock.ts";
import type { HttpClient } from "../services/http.ts";
import type { Ids } from "../services/ids.ts";
import type { Tokens } from "../services/tokens.ts";
import { parseObject, readAll } from "./body.ts";
import type { PendingResponse, UpstreamBody, UpstreamRequest, UpstreamResponse } from "./client.ts";
import { embedded, isCredible, saysSomething } from "./credible.ts";
import { relayError } from "./relay-error.ts";
import { UpstreamReply } from "./reply.ts";
import { UpstreamStream } from "./stream.ts";

const NOTHING: Usage = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

export interface CallServices {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly dialects: ReadonlyMap<string, Dialect>;
  readonly client: HttpClient;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly tokens: Tokens;
  /** The body of `GET /v1/models`. */
  readonly modelList: () => JsonObject;
  readonly limits: { readonly firstContentMs: number; readonly idleMs: number; readonly bodyBytes: number };
}

export function wantsStream(exchange: Pick<LiveExchange, "operation" | "request">): boolean {
  return exchange.operation === "chat" && exchange.request.stream === true;
}

/** One try at a provider, from the request it is sent to its closed books. */
export class AttemptRun {
  readonly #services: CallServices;
  readonly #exchange: LiveExchange;
  readonly #provider: Provider;
  readonly #dialect: UpstreamDialect;
  readonly #attempt: Attempt;
  #stream: UpstreamStream | undefined;
  #over = false;

  constructor(services: CallServices, exchange: LiveExchange, target: Target, provider: Provider, dialect: UpstreamDialect) {
    this.#services = services;
    this.#exchange = exchange;
    this.#provider = provider;
    this.#dialect = dialect;
    this.#attempt = { id: services.ids.next("att"), target, startedAt: services.clock.monotonic() };
  }

  async run(path: string): Promise<void> {
    const { clock, limits } = this.#services;
    const exchange = this.#exchange;
    const stream = wantsStream(exchange);
    const request = this.#write(path, stream);
    exchange.attempts.push(this.#attempt);

    const pending = this.#send(request);
    const giveUp = (reason: GatewayError) => {
      if (this.#stream) return this.#stream.destroy(reason);
      pending.destroy(reason);
      this.#finish(reason);
    };
    exchange.upstream = { destroy: () => giveUp(new GatewayError("client_closed")) };
    const stopListening = exchange.onAbort(giveUp);
    const deadline = clock.timer(limits.firstContentMs, () => giveUp(new GatewayError("upstream_timeout")));
    try {
      const response = await pending.response;
      const { status, headers, body } = response;
      this.#attempt.status = status;
      if (status >= 300) throw await this.#rejected(response);
      if (!stream) {
        await this.#readWhole(response);
        stopListening();
        return;
      }
      if (!String(headers["content-type"]).startsWith("text/event-stream")) {
        body.destroy();
        throw new GatewayError("upstream_invalid", { cause: new Error(`a stream was asked for, ${headers["content-type"]} came`) });
      }
      await this.#readStream(body, stopListening);
    } catch (error) {
      stopListening();
      pending.destroy(new GatewayError("client_closed"));
      const failure = error instanceof GatewayError ? error : new GatewayError("upstream_invalid", { cause: error });
      this.#finish(failure);
      throw failure;
    } finally {
      deadline.cancel();
    }
  }

  #write(path: string, stream: boolean): UpstreamRequest {
    const exchange = this.#exchange;
    const { operation, request, target } = exchange;
    const model = (target as Target).model;
    const written =
      exchange.dialect === this.#provider.dialect
        ? this.#dialect.patchRequest(operation, exchange.wire, exchange.original, request, model)
        : this.#dialect.writeRequest(operation, request, model);
    if (written.dropped.length > 0) {
      const ownPath = this.#services.dialects.get(exchange.dialect)?.client?.ownPath ?? ((path: string) => path);
      const dropped = written.dropped.map(ownPath).join(", ");
      exchange.note(`dropped ${dropped}: ${this.#provider.dialect} has no such field`);
      exchange.headers.set("x-headgate-dropped", dropped);
    }
    const body = this.#provider.adapt?.(operation, written.body) ?? written.body;
    return {
      method: "POST",
      url: this.#provider.baseUrl + path,
      headers: {
        ...this.#forwarded(),
        ...this.#provider.headers(),
        "content-type": "application/json",
        accept: stream ? "text/event-stream" : "application/json",
        "accept-encoding": "identity",
      },
      body: JSON.stringify(body),
    };
  }

  /** The few client headers that a provider of the client's own dialect understands; nothing else is passed on. */
  #forwarded(): Record<string, string> {
    const names = this.#exchange.dialect === this.#provider.dialect ? this.#dialect.forwardedHeaders : undefined;
    const forwarded: Record<string, string> = {};
    for (const name of names ?? []) {
      const value = this.#exchange.client.headers[name];
      if (typeof value === "string") forwarded[name] = value;
    }
    return forwarded;
  }

  #send(request: UpstreamRequest): PendingResponse {
    if (!this.#provider.send) return this.#services.client.send(request);
    const { promise, reject, resolve } = Promise.withResolvers<Awaited<PendingResponse["response"]>>();
    const answer = this.#provider.send(request);
    answer.then(resolve, reject);
    return {
      response: promise,
      destroy(reason) {
        reject(reason);
        answer.then(({ body }) => body.destroy(reason), reject);
      },
    };
  }

  async #rejected(response: UpstreamResponse): Promise<GatewayError> {
    const { status, headers, body } = response;
    if (status < 400) {
      body.destroy();
      return new GatewayError("upstream_invalid", { cause: new Error(`the provider redirects (${status}); redirects are not followed`) });
    }
    const text = await readAll(response, 64 * 1024).then(
      (bytes) => bytes.toString("utf8"),
      () => "",
    );
    let parsed: Json = null;
    try {
      parsed = JSON.parse(text) as Json;
    } catch {
      parsed = text;
    }
    return relayError(status, headers, this.#dialect.readError(status, parsed), this.#provider, this.#exchange.wire);
  }

  async #readWhole(response: UpstreamResponse): Promise<void> {
    const { operation } = this.#exchange;
    const raw = await readAll(response, this.#services.limits.bodyBytes);
    const parsed = parseObject(raw);
    this.#attempt.firstContentAt = this.#services.clock.monotonic();
    const usage = this.#dialect.readUsage(operation, parsed);
    const reply = new UpstreamReply(this.#provider.dialect, raw, () => this.#dialect.readReply(operation, parsed, this.#exchange.request));
    this.#exchange.reply = reply;
    if (operation === "chat") {
      // Hardly any answer has no output, so the others are not read for this.
      const empty = usage?.outputTokens === 0 && !saysSomething(reply.body as ChatReply);
      this.#attempt.usage = this.#judge(usage, empty ? 0 : raw.length);
    } else if (usage) this.#attempt.usage = usage;
    else if (operation === "embeddings") this.#attempt.usage = this.#estimateInput();
    // A reply that will be translated is read now, while another target can still be tried.
    if (this.#provider.dialect !== this.#exchange.dialect) void this.#exchange.reply.body;
    this.#finish();
  }

  async #readStream(body: UpstreamBody, stopListening: () => void): Promise<void> {
    const { clock, limits } = this.#services;
    const exchange = this.#exchange;
    const reader = this.#dialect.streamReader({ model: (exchange.target as Target).model, request: exchange.request });
    const stream = new UpstreamStream({
      dialect: this.#provider.dialect,
      body,
      reader,
      toError: () => relayError(502, {}, reader.error ?? {}, this.#provider, exchange.wire),
      clock,
      idleMs: limits.idleMs,
      onEnd: (error) => {
        stopListening();
        this.#finish(error);
      },
    });
    this.#stream = stream;
    await stream.commit();
    this.#attempt.firstContentAt = clock.monotonic();
    exchange.reply = { kind: "stream", stream };
  }

  /** Closes the books on this attempt, once. An answer whose usage was never stated, or not to the end, is estimated. */
  #finish(error?: GatewayError): void {
    if (this.#over) return;
    this.#over = true;
    const attempt = this.#attempt;
    attempt.endedAt = this.#services.clock.monotonic();
    if (error) attempt.error = error;
    const stream = this.#stream;
    if (!stream) return;
    const { usage, outputBytes, outputPieces } = stream;
    if (usage && !error) attempt.usage = this.#judge(usage, outputBytes, outputPieces);
    else if (stream.committed) attempt.usage = this.#estimate(outputBytes, usage, outputPieces);
  }

  /** What the provider stated, or an estimate where it stated nothing or what cannot be. */
  #judge(stated: Usage | null, outputBytes: number, pieces = 0): Usage {
    if (stated && isCredible(stated, this.#exchange.request as ChatRequest, outputBytes)) return stated;
    return this.#estimate(outputBytes, stated, pieces);
  }

  /**
   * Output at four bytes a token, and no less than a token in each of `pieces`, for numbers, code and short words have fewer
   * bytes to one; unless the provider has stated more that can be. Input as it stated, else counted by us.
   */
  #estimate(outputBytes: number, stated: Usage | null, pieces = 0): Usage {
    this.#exchange.estimated = true;
    const request = this.#exchange.request as ChatRequest;
    const { uncertain: _, ...known } = stated ?? NOTHING;
    const trusted = isCredible({ ...known, inputTokens: 1 }, request, outputBytes) ? known.outputTokens : 0;
    const outputTokens = Math.max(Math.ceil(outputBytes / 4), pieces, trusted);
    const reasoningTokens = Math.min(known.reasoningTokens, outputTokens);
    if (known.inputTokens > 0) return { ...known, outputTokens, reasoningTokens };
    const { tokens } = this.#services.tokens.request(request, this.#attempt.target.model);
    return { ...NOTHING, inputTokens: tokens, outputTokens, reasoningTokens };
  }

  /** What was embedded, counted by us. */
  #estimateInput(): Usage {
    this.#exchange.estimated = true;
    const { text, tokens } = embedded(this.#exchange.request as EmbeddingsRequest);
    return { ...NOTHING, inputTokens: tokens + this.#services.tokens.text(text, this.#attempt.target.model).tokens };
  }
}
