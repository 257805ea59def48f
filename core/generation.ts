import type { RequestListener } from "node:http";
import { compileChain, type Fault, type Link, type Run } from "./chain.ts";
import type { ResolvedConfig, ResolvedPlugin } from "./config/check.ts";
import type { Settings } from "./config/schema.ts";
import { bind, type Scope } from "./di.ts";
import type { JsonObject } from "./dialects/canonical.ts";
import { DIALECTS } from "./dialects/index.ts";
import { GatewayError } from "./errors.ts";
import type { Outcome } from "./exchange.ts";
import { createApp } from "./http/app.ts";
import { connectionKey, vanishedPeers } from "./http/half-open.ts";
import { modelRoutes, openAiModelList } from "./http/models-api.ts";
import type { LiveExchange } from "./live-exchange.ts";
import type { Health, PluginHooks } from "./plugin.ts";
import { Clock } from "./services/clock.ts";
import { Events } from "./services/events.ts";
import { Ids } from "./services/ids.ts";
import { createKeyValue, KeyValue } from "./services/key-value.ts";
import { Logger } from "./services/logger.ts";
import { type Counter, Metrics } from "./services/metrics.ts";
import { Random } from "./services/random.ts";
import { Tokens } from "./services/tokens.ts";
import { createCall } from "./upstream/call.ts";
import { Catalogue, createCatalogue } from "./upstream/catalogue.ts";
import { UpstreamClient } from "./upstream/client.ts";
import { fetchList } from "./upstream/discovery.ts";

interface Instance {
  readonly name: string;
  readonly definition: ResolvedPlugin["definition"];
  readonly hooks: PluginHooks;
}

/** What the server around the generations tells them. */
export interface ServerState {
  readonly startedAt: number;
  readonly draining: boolean;
}

/**
 * Everything that one config gives rise to: services, plugin instances, the compiled chain and the HTTP app over it. A
 * reload builds another and swaps it in whole; calls under way finish on the one they began with.
 */
export class Generation {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly catalogue: Catalogue;
  readonly run: Run;
  readonly listener: RequestListener;
  /** Paths of the HTTP API beside the data plane. */
  readonly routes: readonly string[];
  /** Calls under way. */
  readonly live = new Set<LiveExchange>();
  readonly #instances: Instance[] = [];
  readonly #logger: Logger;
  readonly #events: Events;
  readonly #keyValue: KeyValue;
  readonly #tokens: Tokens;
  readonly #client: UpstreamClient;
  readonly #rejections: Counter;
  readonly #settling = new Set<Promise<void>>();
  readonly #idle: (() => void)[] = [];
  #watchdog: { cancel(): void } | undefined;
  #sweeper: { cancel(): void } | undefined;
  #started: Instance[] = [];

  /** Runs every `setup`; throws what one throws, naming the plugin. Does no I/O. */
  constructor(config: ResolvedConfig, root: Scope, server: ServerState) {
    this.settings = config.settings;
    const base = root.child();
    this.#keyValue = createKeyValue({ url: config.settings.redis?.reveal(), clock: base.get(Clock), logger: base.get(Logger) });
    base.bind(bind(KeyValue, this.#keyValue));
    this.#client = new UpstreamClient({ connectMs: config.settings.upstream.connectMs });
    const providers = new Map(config.providers.map((entry) => [entry.name, setUp("provider", entry, base)]));
    const catalogue = createCatalogue({
      providers: [...providers.values()],
      aliases: config.settings.models,
      prices: config.settings.prices,
      http: (provider, path) => fetchList(this.#client, provider, path, base.get(Clock)),
      clock: base.get(Clock),
      random: base.get(Random),
      logger: base.get(Logger),
    });
    base.bind(bind(Catalogue, catalogue));

    const scope = this.#setUpPlugins(config.plugins, base);
    this.clock = scope.get(Clock);
    this.ids = scope.get(Ids);
    this.catalogue = scope.get(Catalogue);
    this.#logger = scope.get(Logger);
    this.#events = scope.get(Events);
    this.#rejections = scope.get(Metrics).counter("headgate_rejections_total", {
      help: "Requests turned away before they entered the chain.",
      labels: ["code"],
    });
    this.#tokens = scope.get(Tokens);
    const call = createCall({
      providers,
      dialects: DIALECTS,
      client: this.#client,
      clock: this.clock,
      ids: this.ids,
      tokens: this.#tokens,
      modelList: () => openAiModelList(this.catalogue) as JsonObject,
      limits: config.settings.upstream,
    });
    this.run = compileChain(this.#links(), call, {
      clock: this.clock,
      pluginMs: config.settings.server.limits.pluginMs,
      onFault: (exchange, fault) => this.#fault(exchange, fault),
    });
    const routes = [...modelRoutes(this.catalogue), ...this.#instances.flatMap(({ hooks }) => hooks.routes ?? [])];
    this.routes = routes.map(({ path }) => path);
    this.listener = createApp(this, server, routes);
  }

  #setUpPlugins(plugins: readonly ResolvedPlugin[], base: Scope): Scope {
    let scope = base;
    for (const plugin of plugins) {
      const own = scope.child();
      own.bind(bind(Logger, scope.get(Logger).child({ plugin: plugin.name })));
      const hooks = setUp("plugin", plugin, own);
      this.#instances.push({ name: plugin.name, definition: plugin.definition, hooks });
      if (!hooks.services?.length) continue;
      scope = scope.child();
      for (const binding of hooks.services) scope.bind(binding);
    }
    return scope;
  }

  #links(): Link[] {
    return this.#instances.flatMap(({ name, definition, hooks }) =>
      hooks.handle
        ? [{ name, handle: hooks.handle.bind(hooks), failMode: definition.failMode ?? "closed", reenters: definition.reenters ?? false }]
        : [],
    );
  }

  /** Starts plugins in order, and warms what a first call would have to wait for; when one fails, stops those that had started and throws, naming it. */
  async start(): Promise<void> {
    for (const instance of this.#instances) {
      try {
        await instance.hooks.start?.();
      } catch (cause) {
        await this.stop();
        throw new Error(`plugin "${instance.name}" failed to start: ${messageOf(cause)}`, { cause });
      }
      this.#started.push(instance);
    }
    this.#tokens.warm?.();
    this.#keyValue.start?.();
    this.catalogue.start();
    this.#watchdog = this.clock.interval(250, () => this.#watch());
    this.#sweeper = this.clock.interval(10_000, () => void this.#sweep());
  }

  #watch(): void {
    const now = this.clock.monotonic();
    const { callMs } = this.settings.server.limits;
    for (const exchange of this.live) {
      if (now - exchange.startedAt > callMs) exchange.abort(new GatewayError("deadline_exceeded"));
      else exchange.active?.checkTime(now);
    }
  }

  /** Ends the streams of clients that vanished without a word. */
  async #sweep(): Promise<void> {
    const streaming = [...this.live].filter((exchange) => exchange.socket);
    if (streaming.length === 0) return;
    const gone = await vanishedPeers();
    if (gone.size === 0) return;
    for (const exchange of streaming) {
      if (exchange.socket && gone.has(connectionKey(exchange.socket))) exchange.abort(new GatewayError("client_closed"));
    }
  }

  #fault(exchange: LiveExchange, fault: Fault): void {
    exchange.notes.push({ plugin: fault.plugin, text: `failed ${fault.failMode} (${fault.phase}): ${messageOf(fault.error)}` });
    this.#logger.error(
      { err: fault.error, plugin: fault.plugin, phase: fault.phase, failMode: fault.failMode, id: exchange.id },
      "a plugin failed",
    );
    this.#events.emit("plugin.failed", fault);
  }

  /** Counts and logs a request that was turned away before it became a call. */
  rejected(error: GatewayError, id: string): void {
    this.#rejections.add(1, { code: error.code });
    this.#logger.info({ id, code: error.code, status: error.status }, "rejected");
    if (error.status >= 500) this.#logger.error({ err: error, id }, "a request failed outside the chain");
  }

  /** Closes the books on one call: callbacks, then its log line. */
  settled(exchange: LiveExchange, outcome: Outcome): void {
    const settling = exchange
      .settle(outcome, (plugin, error) => {
        this.#logger.error({ err: error, plugin, phase: "settled", id: exchange.id }, "a plugin failed after the end of a call");
        this.#events.emit("plugin.failed", { plugin, phase: "settled", failMode: "open", error });
      })
      .then(() => {
        this.#log(exchange, outcome);
        this.#settling.delete(settling);
        if (this.live.size === 0 && this.#settling.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
      });
    this.#settling.add(settling);
  }

  #log(exchange: LiveExchange, outcome: Outcome): void {
    if (!this.#logger.enabled("info")) return;
    const line: Record<string, unknown> = {
      id: exchange.id,
      operation: exchange.operation,
      dialect: exchange.dialect,
      model: exchange.requestedModel.slice(0, 200),
      target: exchange.target && `${exchange.target.provider}/${exchange.target.model}`,
      status: outcome.status,
      outcome: outcome.kind,
      ms: Math.round(this.clock.monotonic() - exchange.startedAt),
      attempts: exchange.attempts.length,
      inputTokens: outcome.usage?.inputTokens,
      outputTokens: outcome.usage?.outputTokens,
      code: outcome.error?.code,
      plugin: outcome.error?.plugin,
    };
    if (this.#logger.enabled("debug")) {
      line.notes = exchange.notes.map(({ plugin, text }) => `${plugin}: ${text}`);
      if (outcome.error) line.err = outcome.error;
    }
    this.#logger.info(line, "request");
  }

  health(): Record<string, Health> {
    const reports = this.#instances.flatMap(({ name, hooks }) => (hooks.health ? [[name, hooks.health()] as const] : []));
    if (!this.#keyValue.healthy()) reports.push(["redis", { status: "degraded", detail: "not reachable; working from local state" }]);
    return Object.fromEntries(reports);
  }

  /** Resolves when no call is under way and all have settled. */
  idle(): Promise<void> {
    if (this.live.size === 0 && this.#settling.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends every call under way with an error its client sees. */
  abortAll(): void {
    for (const exchange of this.live) exchange.abort(new GatewayError("shutting_down"));
  }

  /** Stops plugins in reverse order, each within ten seconds, and closes what the core opened. */
  async stop(): Promise<void> {
    this.#watchdog?.cancel();
    this.#sweeper?.cancel();
    this.catalogue.stop();
    for (const { name, hooks } of this.#started.splice(0).reverse()) {
      try {
        await this.#within(10_000, hooks.stop?.());
      } catch (error) {
        this.#logger.error({ err: error, plugin: name }, "a plugin failed to stop");
      }
    }
    await this.#keyValue.stop();
    await this.#client.close();
  }

  async #within(ms: number, work: Promise<void> | void): Promise<void> {
    if (!work) return;
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = this.clock.timer(ms, () => reject(new Error(`did not stop within ${ms} ms`)));
    try {
      await Promise.race([work, promise]);
    } finally {
      timer.cancel();
    }
  }
}

interface SetUp<Result> {
  readonly name: string;
  readonly options: unknown;
  readonly definition: {
    readonly inject?: Parameters<Scope["inject"]>[0] | undefined;
    setup(options: never, deps: never): Result;
  };
}

function setUp<Result>(kind: string, entry: SetUp<Result>, scope: Scope): Result {
  try {
    return entry.definition.setup(entry.options as never, scope.inject(entry.definition.inject ?? {}) as never);
  } catch (cause) {
    throw new Error(`${kind} "${entry.name}" could not be set up: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
