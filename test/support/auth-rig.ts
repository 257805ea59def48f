import {
  ApiGuard,
  type ApiRequest,
  type ApiResponse,
  type Binding,
  bind,
  type Caller,
  Catalogue,
  Database,
  DataFolder,
  Events,
  type GatewayError,
  Metrics,
  type PluginHooks,
} from "headgate";
import { auth } from "headgate/plugins";
import { type ExchangeParts, exchange, type FakeExchange, fakeServices, jsonReply } from "headgate/testing";
import { migrations } from "../../plugins/auth/tables.ts";
import { eachDatabase, type OpenedDatabase } from "./databases.ts";

export const ADMIN: Caller = { user: null, key: "key_admin", team: null, plan: "trial", segment: "standard", role: "admin", name: "admin" };
export const DEVELOPMENT_KEY = "hg_dev_of_the_tests";

const catalogue: Catalogue = {
  resolve: () => [],
  aliases: () => ["fast"],
  providers: () => ["openai"],
  models: () => [],
  find: () => undefined,
  cost: () => null,
  start() {},
  stop() {},
};

/** The services of the auth plugin that are not fakes of `headgate/testing`. */
export function authBindings(database: Database): Binding[] {
  return [bind(Database, database), bind(Catalogue, catalogue), bind(DataFolder, "/nowhere")];
}

/** What a handler answered, as its reader sees it. */
// biome-ignore lint/suspicious/noExplicitAny: bodies are looked at by the tests' own expectations
export type Body = any;

/** The auth plugin over a database, with its time in the test's hands. */
export class AuthRig {
  readonly fakes: ReturnType<typeof fakeServices>;
  readonly hooks: PluginHooks;
  readonly events: Events;
  readonly metrics: Metrics;

  constructor(database: Database, options: Parameters<typeof auth>[0] = {}, services: readonly Binding[] = []) {
    this.fakes = fakeServices([...authBindings(database), ...services]);
    const { definition } = auth(options);
    this.hooks = definition.setup(definition.options.parse(options), this.fakes.scope.inject(definition.inject ?? {}));
    this.events = this.fakes.scope.get(Events);
    this.metrics = this.fakes.scope.get(Metrics);
  }

  get clock() {
    return this.fakes.clock;
  }

  /** Makes a call with these headers; the exchange as the plugins after auth see it, or the error. */
  async call(
    headers: Record<string, string>,
    parts: ExchangeParts = {},
  ): Promise<{ caller?: Caller; error?: GatewayError; exchange: FakeExchange }> {
    const one = exchange({ headers, ip: "203.0.113.7", ...parts });
    try {
      await this.hooks.handle?.(one, async () => {
        one.reply = jsonReply({ text: "Hello" });
      });
      return { ...(one.caller ? { caller: one.caller } : {}), exchange: one };
    } catch (error) {
      return { error: error as GatewayError, exchange: one };
    }
  }

  /** The caller of a call with this key, or the code of its refusal. */
  async who(key: string, parts: ExchangeParts = {}): Promise<Caller | string> {
    const { caller, error } = await this.call({ authorization: `Bearer ${key}` }, parts);
    return caller ?? error?.code ?? String(error);
  }

  /** `outcome(200)` or the code of the refusal. */
  async outcome(key: string, parts: ExchangeParts = {}): Promise<string> {
    const who = await this.who(key, parts);
    return typeof who === "string" ? who : "ok";
  }

  /** Calls a route as the core would once its guard has let `caller` pass and its schemas have accepted the rest. */
  async api(method: string, path: string, given: { body?: unknown; query?: Record<string, string>; caller?: Caller } = {}): Promise<Body> {
    const { route, params } = this.#route(method, path);
    const request: ApiRequest = {
      params,
      query: (route.query?.parse(given.query ?? {}) ?? {}) as Record<string, unknown>,
      body: (route.body && given.body === undefined ? undefined : route.body?.parse(given.body)) as Record<string, unknown>,
      caller: given.caller ?? ADMIN,
      ip: "203.0.113.9",
      requestId: "req_api",
      signal: new AbortController().signal,
    };
    const response: ApiResponse = await route.handle(request);
    const text = JSON.parse(JSON.stringify(response.body));
    return route.reply ? route.reply.parse(text) : text;
  }

  /** A new key, shown once. */
  async key(body: Record<string, unknown> = {}): Promise<{ id: string; key: string } & Body> {
    return this.api("POST", "/api/keys", { body: { name: "test", ...body } });
  }

  async user(body: Record<string, unknown> = {}): Promise<Body> {
    return this.api("POST", "/api/users", { body });
  }

  get guard(): ApiGuard {
    return this.hooks.services?.find(({ token }) => token.name === ApiGuard.name)?.value as ApiGuard;
  }

  #route(method: string, path: string) {
    for (const route of this.hooks.routes ?? []) {
      const names = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name as string);
      const match = new RegExp(`^${route.path.replaceAll(/:\w+/g, "([^/]+)")}$`).exec(path);
      if (route.method !== method || !match) continue;
      return { route, params: Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(match[at + 1] as string)])) };
    }
    throw new Error(`there is no route ${method} ${path}`);
  }
}

/** One suite on both databases; `open` gives a fresh one with the tables of auth. */
export function onDatabases(suite: (open: () => Promise<OpenedDatabase>) => void): void {
  eachDatabase("auth", (open) => suite(() => open(migrations)));
}
