import { setTimeout as sleep } from "node:timers/promises";
import { auth, metrics, quota, usage } from "headgate/plugins";
import {
  checkHistories,
  FakeLogger,
  type Histories,
  ScriptedUpstream,
  startGateway,
  upstreamHistory,
  type Violation,
} from "headgate/testing";
import { expect, onTestFinished } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { readLedger, readQuota } from "./ledger.ts";
import { Load, slowly } from "./load.ts";
import { startPostgres } from "./postgres.ts";
import { provider } from "./scripted-provider.ts";

const USERS = 3;
const CLIENTS = 12;
const DEVELOPMENT_KEY = "hg_dev_of_the_outage";

interface Probe {
  readonly live: number;
  readonly ready: number;
  readonly status: string;
  readonly degraded: readonly string[];
  /** What a call with each of these keys gets. */
  readonly development: number;
  readonly revoked: number;
  /** Made up, another one each time. */
  readonly strange: number;
  /** Made before the outage and never used; not tried before it either. */
  readonly unused: number | undefined;
}

export interface OutageRun {
  readonly violations: readonly Violation[];
  readonly histories: Histories;
  /** Statuses of the calls with known keys, and how many got each. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly before: Probe;
  /** One for each second without the database. */
  readonly during: readonly Probe[];
  readonly after: Probe;
  /** From its restart until the gateway said that all is well, in ms. */
  readonly recovery: number;
  /** Connections to the database at the end. */
  readonly connections: number;
}

/** A real PostgreSQL is killed for `ms` under a gateway with auth, ledger and budgets, while clients with known keys go on. */
export async function loseDatabase(ms: number): Promise<OutageRun> {
  // What it has acknowledged outlives the kill.
  const server = await startPostgres({ settings: { synchronous_commit: "on" } });
  onTestFinished(() => server.stop());
  const database = await server.database("outage");
  const upstream = (await ScriptedUpstream.start()).always(slowly(150));
  onTestFinished(() => upstream.close());
  const gateway = await startGateway({
    database,
    providers: [provider("openai-chat", upstream.url, "scripted")],
    prices: { "scripted/m": { input: 1, output: 4 } },
    plugins: [
      metrics(),
      auth({ developmentKey: DEVELOPMENT_KEY }),
      usage(),
      quota({ plans: { default: ["900M tokens once", "$9000 once", "1000000 requests once"] } }),
    ],
  });
  onTestFinished(() => gateway.stop());
  const { url } = gateway;
  const admin = (path: string, body: object) => post(url + path, DEVELOPMENT_KEY, body);
  const keys: { id: string; key: string; user: string }[] = [];
  for (let index = 0; index < USERS; index++) {
    const { id: user } = await admin("/api/users", { name: `User ${index}` });
    keys.push({ ...(await admin("/api/keys", { name: "test", user_id: user })), user });
  }
  const revoked = await admin("/api/keys", { name: "revoked" });
  const unused = await admin("/api/keys", { name: "unused" });
  expect(await models(url, revoked.key)).toBe(200);
  await admin(`/api/keys/${revoked.id}/revoke`, {});

  let strangers = 0;
  const probe = async (tryUnused = true): Promise<Probe> => {
    const live = await fetch(`${url}/health/live`);
    const ready = await fetch(`${url}/health/ready`);
    const { status, degraded } = (await ready.json()) as { status: string; degraded: string[] };
    return {
      live: live.status,
      ready: ready.status,
      status,
      degraded,
      development: await models(url, DEVELOPMENT_KEY),
      revoked: await models(url, revoked.key),
      strange: await models(url, `hg_${String(strangers++).padStart(43, "x")}`),
      unused: tryUnused ? await models(url, unused.key) : undefined,
    };
  };

  const load = new Load(url, CLIENTS, (index) => {
    const { id, key } = keys[index % USERS] as (typeof keys)[number];
    return { model: "scripted/m", stream: index % 4 > 0, secret: key, key: id };
  });
  await sleep(2_000);
  const before = await probe(false);
  await server.kill();
  // Until the gateway has noticed.
  await expect.poll(async () => (await probe()).status, { timeout: 5_000 }).toBe("degraded");
  const during: Probe[] = [];
  for (let second = 1; second <= ms / 1_000; second++) {
    during.push(await probe());
    await sleep(1_000);
  }
  await server.restart();
  const restarted = performance.now();
  const health = async () => (await fetch(`${url}/health`)).json();
  await expect.poll(health, { timeout: 30_000, interval: 50 }).toMatchObject({ status: "ok" });
  const recovery = performance.now() - restarted;
  await sleep(1_000);
  const after = await probe();
  await load.stop();

  const reader = createDatabase({ url: database, data: "", random: { next: () => 0 }, logger: new FakeLogger() });
  const connections = await reader
    .tables<{ pg_stat_activity: { pid: number; datname: string } }>()
    .selectFrom("pg_stat_activity")
    .select("pid")
    .where("datname", "=", "outage")
    .execute();
  await gateway.stop();
  const keyOf = new Map(keys.map(({ id, user }) => [user, id]));
  const histories = {
    client: load.client.calls,
    upstream: upstreamHistory(upstream),
    ledger: await readLedger(reader),
    quota: [await readQuota(reader, (user) => keyOf.get(user) ?? user)],
  };
  await reader.close();
  const statuses: Record<number, number> = {};
  for (const { status } of load.client.calls) statuses[status] = (statuses[status] ?? 0) + 1;
  return { violations: checkHistories(histories), histories, statuses, before, during, after, recovery, connections: connections.length };
}

/** A7, A9, A10: nobody who is known notices; nothing is lost, doubled or misbilled. */
export function expectUnnoticed({ violations, histories, statuses, before, during, after, recovery, connections }: OutageRun): void {
  const calls = histories.client.length;
  expect(statuses).toEqual({ 200: calls });
  expect(violations).toEqual([]);
  const well = { live: 200, ready: 200, status: "ok", degraded: [], development: 200, revoked: 401, strange: 401, unused: 200 };
  const away = { ...well, status: "degraded", degraded: expect.arrayContaining(["database"]), strange: 503, unused: 503 };
  expect(before).toEqual({ ...well, unused: undefined });
  expect(during).toEqual(during.map(() => away));
  expect(after).toEqual(well);
  expect(recovery, "ms until all is well again").toBeLessThan(15_000);
  // Ours is one of them.
  expect(connections, "connections, none of them left over").toBeLessThanOrEqual(1 + 16);
  process.stderr.write(
    `${calls} calls over ${during.length} s without the database; all well ${Math.round(recovery)} ms after its return\n`,
  );
}

// biome-ignore lint/suspicious/noExplicitAny: the tests' own expectations look at it
async function post(address: string, key: string, body: object): Promise<any> {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": key },
    body: JSON.stringify(body),
  });
  expect(answer.status, await answer.clone().text()).toBeLessThan(300);
  return answer.json();
}

/** The status of a call that needs a key, and no budget. */
async function models(url: string, key: string): Promise<number> {
  const answer = await fetch(`${url}/v1/models`, { headers: { "x-api-key": key } });
  await answer.arrayBuffer();
  return answer.status;
}
