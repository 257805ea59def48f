import type { RequestListener } from "node:http";
import { Calls } from "./calls.ts";
import { compileChain, type Run } from "./chain.ts";
import type { ResolvedConfig } from "./config/check.ts";
import type { Settings } from "./config/schema.ts";
import { bind, type Scope } from "./di.ts";
import { DIALECTS } from "./dialects/index.ts";
import type { Caller } from "./exchange.ts";
import type { ApiResponse, ApiRoute } from "./http/api.ts";
import { createApp } from "./http/app.ts";
import { type AdmittedCall, ControlPlane } from "./http/control-plane.ts";
import type { DataPlane, ServerState } from "./http/data-plane.ts";
import { docsRoutes } from "./http/docs-routes.ts";
import { ApiGuard } from "./http/guard.ts";
import { healthRoutes } from "./http/health.ts";
import { modelRoutes, openAiModelList } from "./http/models-api.ts";
import type { Announcement, Health } from "./plugin.ts";
import { PluginSet, setUp } from "./plugin-set.ts";
import type { Provider } from "./provider.ts";
import { Clock } from "./services/clock.ts";
import { isOwned } from "./services/database/owned.ts";
import { prepareDatabase } from "./services/database/prepare.ts";
import { Database } from "./services/database.ts";
import { type EventMap, Events } from "./services/events.ts";
import { HttpClient } from "./services/http.ts";
import { Ids } from "./services/ids.ts";
import { createKeyValue, KeyValue } from "./services/key-value.ts";
import { Logger } from "./services/logger.ts";
import { Metrics } from "./services/metrics.ts";
import { Random } from "./services/random.ts";
import { RedisLink } from "./services/redis.ts";
import { RedisScripts, Scripts } from "./services/scripts.ts";
import { Tokens } from "./services/tokens.ts";
import { createCall } from "./upstream/call.ts";
import { Catalogue, createCatalogue } from "./upstream/catalogue.ts";
import { UpstreamClient } from "./upstream/client.ts";
import { fetchList } from "./upstream/discovery.ts";

/** Who uses a command: whoever may run the gateway's files may do what it can. */
const OPERATOR: Caller = { user: null, key: null, team: null, plan: "", segment: "standard", role: "admin", name: "cli" };

/** What a command asks of its route, not yet checked. */
export type CommandInput = Pick<AdmittedCall, "params" | "query" | "body">;

/**
 * Everything that one config gives rise to: services, plugin instances, the compiled chain and the HTTP app over it. A
 * reload builds another and swaps it in whole; calls under way finish on the one they began with.
 */
export class Generation implements DataPlane {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly catalogue: Catalogue;
  readonly calls: Calls;
  readonly run: Run;
  readonly listener: RequestListener;
  readonly control: ControlPlane;
  readonly #plugins: PluginSet;
  readonly #logger: Logger;
  readonly #keyValue: KeyValue;
  readonly #tokens: Tokens;
  readonly #client: UpstreamClient;

  /** Runs every `setup`; throws what one throws, naming the plugin. Does no I/O. */
  constructor(config: ResolvedConfig, root: Scope, server: ServerState) {
    const { settings } = config;
    this.settings = settings;
    this.#client = new UpstreamClient({ connectMs: settings.upstream.connectMs });

    const base = root.child();
    base.bind(bind(HttpClient, this.#client));
    const redis = settings.redis && new RedisLink(settings.redis.reveal(), base.get(Clock), base.get(Logger));
    this.#keyValue = createKeyValue(base.get(Clock), redis);
    base.bind(bind(KeyValue, this.#keyValue));
    if (redis) base.bind(bind(Scripts, new RedisScripts(redis)));
    const providers = new Map(config.providers.map((entry) => [entry.name, setUp("provider", entry, base)]));
    base.bind(bind(Catalogue, this.#createCatalogue(base, [...providers.values()])));

    this.#plugins = new PluginSet(config.plugins, base);
    const { scope } = this.#plugins;
    this.clock = scope.get(Clock);
    this.ids = scope.get(Ids);
    this.catalogue = scope.get(Catalogue);
    this.#logger = scope.get(Logger);
    this.#tokens = scope.get(Tokens);
    const calls = new Calls({
      clock: this.clock,
      logger: this.#logger,
      events: scope.get(Events),
      metrics: scope.get(Metrics),
      callMs: settings.server.limits.callMs,
    });
    this.calls = calls;
    const call = createCall({
      providers,
      dialects: DIALECTS,
      client: scope.get(HttpClient),
      clock: this.clock,
      ids: this.ids,
      tokens: this.#tokens,
      modelList: () => openAiModelList(this.catalogue),
      limits: settings.upstream,
    });
    this.run = compileChain(this.#plugins.links(), call, {
      clock: this.clock,
      pluginMs: settings.server.limits.pluginMs,
      onFault: (exchange, fault) => calls.faulted(exchange, fault),
    });
    const routes = [...healthRoutes(this, server), ...modelRoutes(this.catalogue), ...this.#plugins.routes()];
    this.control = new ControlPlane([...routes, ...docsRoutes(routes)], {
      guard: scope.get(ApiGuard),
      events: scope.get(Events),
      keyValue: scope.get(KeyValue),
    });
    this.listener = createApp(this, server, this.control);
  }

  #createCatalogue(scope: Scope, providers: readonly Provider[]): Catalogue {
    const clock = scope.get(Clock);
    return createCatalogue({
      providers,
      aliases: this.settings.models,
      prices: this.settings.prices,
      http: (provider, path) => fetchList(this.#client, provider, path, clock),
      clock,
      random: scope.get(Random),
      logger: scope.get(Logger),
    });
  }

  /** Starts plugins in order, and warms what a first call would have to wait for. When one fails, stops those before it and rejects, naming it. */
  async start(): Promise<void> {
    const plugins = this.#plugins;
    try {
      const prepared = plugins.usesDatabase ? prepareDatabase(plugins.scope.get(Database), plugins.migrations()) : undefined;
      // Awaited below; until then nobody else would hear of a failure.
      prepared?.catch(() => undefined);
      // It has begun by now, in a thread or on a server; meanwhile this thread does what it has to do anyway.
      await plugins.scope.get(Clock).turn();
      this.#tokens.warm?.();
      await prepared;
      await plugins.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#keyValue.start?.();
    this.catalogue.start();
    this.calls.start();
  }

  /** Runs the plugins' migrations, or only looks which there are to run; resolves to their names. */
  async migrate({ check }: { readonly check: boolean }): Promise<readonly string[]> {
    const { scope, usesDatabase } = this.#plugins;
    const database = usesDatabase ? scope.get(Database) : undefined;
    if (!isOwned(database)) return [];
    const migrations = this.#plugins.migrations();
    return check ? (await database.pending(migrations)).names : database.migrate(migrations);
  }

  /** Calls a route as an admin on this machine, on a database that is up to date; nothing has to be started. */
  async command(route: ApiRoute, input: CommandInput): Promise<ApiResponse> {
    const { scope, usesDatabase } = this.#plugins;
    if (usesDatabase && (await this.migrate({ check: true })).length > 0) {
      if (scope.get(Database).dialect !== "sqlite")
        throw new Error("the database is behind this config; bring it up to date with: headgate migrate");
      await this.migrate({ check: false });
    }
    const told: EventMap["api.handled"][] = [];
    const forget = scope.get(Events).on("api.handled", (event) => told.push(event));
    try {
      const { signal } = new AbortController();
      return await this.control.run(route, { ...input, caller: OPERATOR, ip: "cli", requestId: this.ids.next("req"), signal });
    } finally {
      forget();
      for (const event of told) await this.#plugins.commanded(event);
    }
  }

  announcements(): Announcement[] {
    return this.#plugins.announcements();
  }

  health(): Record<string, Health> {
    const reports = this.#plugins.health();
    if (!this.#keyValue.healthy()) reports.push(["redis", { status: "degraded", detail: "not reachable; working from local state" }]);
    if (this.#plugins.usesDatabase) {
      const database = this.#plugins.scope.get(Database).health();
      if (database.status !== "ok") reports.push(["database", database]);
    }
    return Object.fromEntries(reports);
  }

  /** Stops plugins in reverse order, each within ten seconds, and closes what the core opened. */
  async stop(): Promise<void> {
    this.calls.stop();
    this.catalogue.stop();
    await this.#plugins.stop(this.clock, this.#logger);
    await this.#keyValue.stop();
    await this.#client.close();
  }
}
