import {
  type ApiRequest,
  bind,
  Catalogue,
  Clock,
  type Database,
  Database as DatabaseToken,
  Directory,
  type DirectoryUser,
  type EventMap,
  Events,
  HttpClient,
  Ids,
  Metrics,
  type Outcome,
  type PluginHooks,
  type Usage,
} from "headgate";
import { alerts } from "headgate/plugins";
import { exchange, FakeClock, type FakeServices, fakeServices, ScriptedUpstream } from "headgate/testing";
import { afterEach, beforeEach, vi } from "vitest";
import { Scope } from "../../core/di.ts";
import { migrations } from "../../plugins/alerts/tables.ts";
import { memoryDatabase } from "./memory-database.ts";

export type AlertsSettings = NonNullable<Parameters<typeof alerts>[0]>;
export type QuotaEvent = EventMap["quota.used"];

/** A million nano-dollars a token. */
export const catalogue: Catalogue = {
  resolve: () => [],
  aliases: () => [],
  providers: () => [],
  models: () => [],
  find: () => undefined,
  cost: (_, { inputTokens, outputTokens }) => (inputTokens + outputTokens) * 1_000_000,
  start() {},
  stop() {},
};

export interface AlertsRig extends FakeServices {
  readonly hooks: PluginHooks;
  emit<Name extends keyof EventMap>(name: Name, event: EventMap[Name]): void;
  /** One call that ended so. */
  call(outcome?: Partial<Outcome>, how?: { readonly ms?: number; readonly usage?: Usage }): Promise<void>;
  /** Calls a route of the plugin by `METHOD /path`. */
  route(name: string, request?: Partial<ApiRequest>): Promise<{ readonly body: never }>;
  /** The value of a counter, by its labels. */
  counted(name: string, labels?: Readonly<Record<string, string>>): number;
  /** Moves the clock on in steps of `ms`, none of them while a webhook is being called, until `check` no longer throws. */
  until(check: () => void, ms?: number): Promise<void>;
}

export interface AlertsRigParts {
  readonly db: Database;
  /** Ann alone by default. */
  readonly users?: Readonly<Record<string, DirectoryUser>>;
  readonly clock?: FakeClock;
}

const ANN: DirectoryUser = { email: null, name: "Ann", plan: "trial", role: "user" };

/** One instance of the plugin on a fake clock, with a real database and the real network. */
export async function startAlerts(
  options: AlertsSettings,
  { db, users = { usr_ann: ANN }, clock = new FakeClock() }: AlertsRigParts,
): Promise<AlertsRig> {
  const directory: Directory = { user: async (id) => users[id] };
  const realIds = new Scope().get(Ids);
  const http = counting((HttpClient.fallback as () => HttpClient)());
  const fakes = fakeServices([
    bind(HttpClient, http),
    bind(Catalogue, catalogue),
    bind(DatabaseToken, db),
    bind(Directory, directory),
    bind(Ids, realIds),
    bind(Clock, clock),
  ]);
  const entry = alerts(options);
  const { definition } = entry;
  const hooks = definition.setup(definition.options.parse(entry.options), fakes.scope.inject(definition.inject ?? {}));
  await hooks.start?.();
  return {
    ...fakes,
    clock,
    hooks,
    emit: (name, event) => fakes.scope.get(Events).emit(name, event),
    async call(outcome = {}, { ms = 10, usage } = {}) {
      const target = { provider: "test", model: "m" };
      const one = exchange({ startedAt: clock.monotonic() });
      await hooks.handle?.(one, async () => {
        one.attempts.push({
          id: realIds.next("att"),
          target,
          startedAt: one.startedAt,
          firstContentAt: one.startedAt + ms,
          ...(usage ? { usage } : {}),
        });
      });
      await one.settle(outcome);
    },
    async route(name, request = {}) {
      const route = hooks.routes?.find(({ method, path }) => name === `${method} ${path}`);
      if (!route) throw new Error(`there is no ${name}`);
      const checked = { query: route.query?.parse(request.query ?? {}) ?? {}, body: route.body?.parse(request.body) ?? {} };
      const response = await route.handle({ params: {}, caller: undefined, ...request, ...checked } as ApiRequest);
      route.reply?.parse(JSON.parse(JSON.stringify(response.body)));
      return response as never;
    },
    counted(name, labels = {}) {
      const found = [...fakes.scope.get(Metrics).collect()].find((each) => each.name === name);
      if (found?.kind !== "counter") return 0;
      return found.points.filter((point) => Object.entries(labels).every(([key, value]) => point.labels[key] === value))[0]?.value ?? 0;
    },
    async until(check, ms = 10_000) {
      await vi.waitFor(
        async () => {
          if (http.underWay === 0) await clock.advance(ms);
          check();
        },
        { timeout: PATIENCE_MS / 2, interval: 10 },
      );
    },
  };
}

function counting(client: HttpClient): HttpClient & { readonly underWay: number } {
  let underWay = 0;
  return {
    get underWay() {
      return underWay;
    },
    send(request) {
      const pending = client.send(request);
      underWay += 1;
      const ended = () => {
        underWay -= 1;
      };
      pending.response.then(ended, ended);
      return pending;
    },
  };
}

/** Real ms for one test: its clock is fake, but the network and the machine are not. */
export const PATIENCE_MS = 60_000;

export const JANUARY = Date.UTC(2026, 0, 1);
export const FEBRUARY = Date.UTC(2026, 1, 1);
export const MARCH = Date.UTC(2026, 2, 1);

/** What the quota says of Ann's 1,000 tokens a month. */
export function quota(percent: number, rest: Partial<QuotaEvent> = {}): QuotaEvent {
  return {
    rule: "monthly",
    subject: "usr_ann",
    user: "usr_ann",
    unit: "tokens",
    window: "month",
    windowStart: JANUARY,
    windowEnd: FEBRUARY,
    used: percent * 10,
    limit: 1_000,
    additional: 0,
    percent,
    ...rest,
  };
}

/** What a webhook is told. */
export interface Told {
  readonly id: string;
  readonly type: string;
  readonly summary: string;
  readonly facts: Readonly<Record<string, string>>;
}

export interface AlertsBench {
  /** Fresh for each test. */
  readonly db: Awaited<ReturnType<typeof memoryDatabase>>;
  /** The webhook `ops`, which takes everything unless told otherwise. */
  readonly hook: ScriptedUpstream;
  /** An instance with that webhook, on that database, unless told otherwise; stopped after the test. */
  start(options?: AlertsSettings, parts?: Partial<AlertsRigParts>): Promise<AlertsRig>;
  /** What the webhook was told, in order. */
  told(): Told[];
}

/** A database and a webhook for each test of a file. */
export function useAlerts(): AlertsBench {
  vi.setConfig({ testTimeout: PATIENCE_MS });
  let db: AlertsBench["db"];
  let hook: ScriptedUpstream;
  const rigs: AlertsRig[] = [];
  beforeEach(async () => {
    db = await memoryDatabase(migrations);
    hook = (await ScriptedUpstream.start()).always({ status: 204 });
  });
  afterEach(async () => {
    for (const rig of rigs.splice(0)) await rig.clock.runUntil(Promise.resolve(rig.hooks.stop?.()));
    await hook.close();
  });
  return {
    get db() {
      return db;
    },
    get hook() {
      return hook;
    },
    async start(options = {}, parts = {}) {
      const webhooks = [{ name: "ops", url: `${hook.url}/secret-path`, secret: "s3cret" }];
      const rig = await startAlerts({ webhooks, ...options }, { db, ...parts });
      rigs.push(rig);
      return rig;
    },
    told: () => hook.calls.map(({ json }) => json as Told),
  };
}

/** Resolves when nothing is left to do but to wait for the clock. */
export async function quiet(rig: AlertsRig): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await rig.clock.advance(0);
}
