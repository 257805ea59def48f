import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { z } from "zod";
import type { ResolvedConfig } from "./config/check.ts";
import type { ServerOptions, Settings } from "./config/schema.ts";
import { type Binding, bind, Scope } from "./di.ts";
import { type CommandInput, Generation } from "./generation.ts";
import type { ApiResponse, ApiRoute } from "./http/api.ts";
import { answerClientError } from "./http/client-error.ts";
import type { Announcement } from "./plugin.ts";
import { Clock } from "./services/clock.ts";
import { DataFolder } from "./services/data-folder.ts";
import { createDatabase } from "./services/database/open.ts";
import type { OwnedDatabase } from "./services/database/owned.ts";
import { Database } from "./services/database.ts";
import { Events } from "./services/events.ts";
import { createLogger, Logger, type RootLogger } from "./services/logger.ts";
import { Metrics } from "./services/metrics.ts";
import { Random } from "./services/random.ts";
import { FileSpools } from "./services/spool/spools.ts";
import { Spools } from "./services/spool.ts";

/** For calls that were cut short to tell their clients and settle, in ms. */
const SETTLE_MS = 1_250;
/** For connections to close by themselves, in ms. */
const CLOSE_MS = 250;

export interface GatewayOptions {
  /** Services to use in place of the defaults (a fake clock, a quiet logger). */
  readonly services?: readonly Binding[];
}

export interface Gateway {
  /** Starts the plugins, then opens the port. Rejects when a plugin fails to start or the port is taken. */
  start(): Promise<{ readonly url: string; readonly port: number }>;
  /**
   * Swaps in the chain of another config; calls under way finish on the old one. Rejects, changing nothing, when it
   * cannot be built or started. `server` settings that only a restart can change are logged and left.
   */
  reload(config: ResolvedConfig): Promise<void>;
  /**
   * Turns readiness 503 at once, lets calls finish for `drainMs`, ends the rest with an error event, stops the plugins in
   * reverse, closes the port. `now` skips the waiting; it may be called while a first stop is waiting.
   */
  stop(options?: { readonly now?: boolean }): Promise<void>;
  /**
   * Brings the database up to date, which does not need a start; `check` only looks. Resolves to the names of the steps that
   * it ran, or would have run.
   */
  migrate(options: { readonly check: boolean }): Promise<readonly string[]>;
  /** Paths of its HTTP API beside the data plane, such as `/metrics`. */
  routes(): readonly string[];
  /** Its routes that are commands too. */
  commands(): readonly ApiRoute[];
  /** Calls one of them as an admin on this machine, on a database that is up to date; does not need a start. Rejects with a GatewayError. */
  command(route: ApiRoute, input: CommandInput): Promise<ApiResponse>;
  /** What its plugins have to say to whoever starts it. */
  announcements(): readonly Announcement[];
}

/** A gateway from a checked config. Builds the chain at once, and throws naming the plugin whose `setup` throws; opens nothing yet. */
export function createGateway(config: ResolvedConfig, options: GatewayOptions = {}): Gateway {
  return new RunningGateway(config, options);
}

class RunningGateway implements Gateway {
  readonly #scope = new Scope();
  readonly #state = { startedAt: 0, draining: false };
  readonly #generations = new Set<Generation>();
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #spools: FileSpools;
  readonly #database: OwnedDatabase | undefined;
  #ownLogger: RootLogger | undefined;
  #current: Generation;
  #stopping: Promise<void> | undefined;
  #hurry: () => void = () => undefined;

  constructor(config: ResolvedConfig, { services = [] }: GatewayOptions) {
    this.#scope.bind(bind(DataFolder, config.settings.data));
    for (const binding of services) this.#scope.bind(binding);
    if (!services.some(({ token }) => token === Logger)) {
      this.#ownLogger = createLogger({ level: config.settings.log.level, metrics: this.#scope.get(Metrics) });
      this.#scope.bind(bind(Logger, this.#ownLogger));
    }
    this.#clock = this.#scope.get(Clock);
    const [metrics, logger] = [this.#scope.get(Metrics), this.#scope.get(Logger)];
    this.#spools = new FileSpools(config.settings.data, { clock: this.#clock, metrics, logger });
    if (!services.some(({ token }) => token === Spools)) this.#scope.bind(bind(Spools, this.#spools));
    if (!services.some(({ token }) => token === Database)) this.#database = this.#createDatabase(config.settings);
    this.#state.startedAt = this.#clock.monotonic();
    this.#current = new Generation(config, this.#scope, this.#state);
    this.#generations.add(this.#current);
    this.#server = openServer(config.settings.server, (request, response) => this.#current.listener(request, response));
  }

  start(): Promise<{ url: string; port: number }> {
    return keepingAlive(this.#start());
  }

  async #start(): Promise<{ url: string; port: number }> {
    const { host, port, tls } = this.#current.settings.server;
    try {
      await this.#current.start();
    } catch (error) {
      await this.#database?.close();
      throw error;
    }
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once("error", reject);
        this.#server.listen(port, host, resolve);
      });
    } catch (error) {
      await this.#current.stop();
      await this.#database?.close();
      throw error;
    }
    const bound = (this.#server.address() as AddressInfo).port;
    const shown = host.includes(":") ? `[${host}]` : host;
    return { url: `${tls ? "https" : "http"}://${shown}:${bound}`, port: bound };
  }

  async reload(config: ResolvedConfig): Promise<void> {
    const next = new Generation(config, this.#scope, this.#state);
    await next.start();
    const previous = this.#current;
    this.#current = next;
    this.#generations.add(next);
    const fixed = ({ server, data, database }: Settings) => JSON.stringify([server, data, database?.reveal()]);
    if (fixed(previous.settings) !== fixed(next.settings)) {
      this.#scope.get(Logger).warn("settings under `server`, `data` and `database` take effect at the next start");
    }
    this.#scope.get(Events).emit("gateway.reloaded", { plugins: config.plugins.map(({ name }) => name) });
    void previous.calls
      .idle()
      .then(() => previous.stop())
      .finally(() => this.#generations.delete(previous));
  }

  migrate(options: { readonly check: boolean }): Promise<readonly string[]> {
    return keepingAlive(this.#current.migrate(options));
  }

  routes(): readonly string[] {
    return this.#current.control.routes.map(({ path }) => path);
  }

  commands(): readonly ApiRoute[] {
    return this.#current.control.routes.filter(({ command }) => command !== undefined);
  }

  command(route: ApiRoute, input: CommandInput): Promise<ApiResponse> {
    return keepingAlive(this.#current.command(route, input));
  }

  announcements(): readonly Announcement[] {
    return this.#current.announcements();
  }

  stop({ now = false }: { now?: boolean } = {}): Promise<void> {
    this.#stopping ??= keepingAlive(this.#stop());
    if (now) this.#hurry();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#state.draining = true;
    this.#scope.get(Events).emit("gateway.draining", {});
    this.#server.closeIdleConnections();
    const hurried = new Promise<void>((resolve) => {
      this.#hurry = resolve;
    });
    const generations = [...this.#generations];
    const idle = Promise.all(generations.map((generation) => generation.calls.idle()));
    await Promise.race([idle, hurried, this.#after(this.#current.settings.server.drainMs)]);
    for (const generation of generations) generation.calls.abortAll();
    await Promise.race([idle, this.#after(SETTLE_MS)]);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await Promise.race([closed, this.#after(CLOSE_MS)]);
    this.#server.closeAllConnections();
    for (const generation of generations) await generation.stop();
    this.#spools.close();
    await this.#database?.close();
    await this.#ownLogger?.close(500);
  }

  /** The gateway's, not a generation's: it outlives reloads, and is opened when a plugin needs it. */
  #createDatabase({ database, data }: Settings): OwnedDatabase {
    const [random, logger] = [this.#scope.get(Random), this.#scope.get(Logger)];
    const created = createDatabase({ url: database?.reveal(), data, random, logger });
    this.#scope.bind(bind(Database, created));
    return created;
  }

  #after(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.timer(ms, resolve));
  }
}

/** No timer of ours and no thread keeps the process alive, so that none can hold up its end; what has begun is waited for all the same. */
function keepingAlive<T>(work: Promise<T>): Promise<T> {
  const alive = setInterval(() => undefined, 60_000);
  return work.finally(() => clearInterval(alive));
}

function openServer(options: z.output<typeof ServerOptions>, listener: RequestListener): Server {
  const { limits, tls } = options;
  const settings = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    // How often those two are looked at; Node's own default is half a minute.
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16 * 1024,
    // Checked with the other headers, where the refusal is JSON.
    requireHostHeader: false,
    joinDuplicateHeaders: false,
    insecureHTTPParser: false,
  };
  const server = tls
    ? createTlsServer({ ...settings, key: readFileSync(tls.key), cert: readFileSync(tls.cert) }, listener)
    : createServer(settings, listener);
  server.maxConnections = options.maxConnections;
  // Answered only when the body is wanted; see readJson.
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => void listener(request, response));
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => void listener(request, response));
  server.on("clientError", answerClientError);
  return server;
}
