import type { Database } from "headgate";
import { FakeLogger, ScriptedUpstream, silence } from "headgate/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import {
  type AlertsRig,
  type AlertsSettings,
  FEBRUARY,
  PATIENCE_MS,
  quota,
  startAlerts,
  type Told,
} from "../../test/support/alerts-rig.ts";
import { eachDatabase } from "../../test/support/databases.ts";
import { hasPostgres, startPostgres } from "../../test/support/postgres.ts";
import { migrations } from "./tables.ts";

vi.setConfig({ testTimeout: PATIENCE_MS });

let hook: ScriptedUpstream;
const rigs: AlertsRig[] = [];

beforeEach(async () => {
  hook = (await ScriptedUpstream.start()).always({ status: 200 });
});
// Before the database is closed, which is opened later.
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.hooks.stop?.();
  await hook.close();
});

async function start(db: Database, options: AlertsSettings = {}): Promise<AlertsRig> {
  const rig = await startAlerts(
    { webhooks: [{ name: "ops", url: hook.url, secret: "s" }], health: ["error_rate > 0.5"], ...options },
    { db },
  );
  rigs.push(rig);
  return rig;
}

const summaries = () => hook.calls.map(({ json }) => (json as Told).summary);

/** Lets the clocks of all instances go on, in steps with real time between them, until `check` no longer throws. */
async function until(check: () => void): Promise<void> {
  await vi.waitFor(
    async () => {
      for (const rig of rigs) await rig.clock.advance(2_000);
      check();
    },
    { timeout: PATIENCE_MS / 2, interval: 20 },
  );
}

/** Rounds enough for anything that should not come to have come. */
async function rounds(count = 10): Promise<void> {
  let left = count;
  await until(() => expect(left--).toBeLessThanOrEqual(0));
}

eachDatabase("several instances", (open) => {
  it("tell each alert once between them", async () => {
    const database = await open(migrations);
    const [one, two] = [await start(database), await start(await database.again())];
    const users = Array.from({ length: 15 }, (_, user) => `usr_${user}`);
    for (const [index, percent] of [80, 95].entries()) {
      for (const user of users) for (const rig of [one, two]) rig.emit("quota.used", quota(percent, { subject: user, user }));
      await until(() => expect(hook.calls.length).toBeGreaterThanOrEqual(15 * (index + 1)));
    }
    for (const rig of [one, two]) rig.emit("quota.blocked", { ...quota(100, { subject: "usr_0", user: "usr_0" }), need: 9 });
    for (const rig of [one, two]) rig.emit("quota.reset", quota(0, { subject: "usr_1", user: "usr_1", windowStart: FEBRUARY }));
    for (const rig of [one, two]) for (let call = 0; call < 20; call++) await rig.call({ kind: "failed", status: 502 });
    await until(() => expect(hook.calls.length).toBeGreaterThanOrEqual(33));
    await rounds();
    const expected = [
      ...users.map((user) => `80% of the monthly quota used: ${user}`),
      ...users.map((user) => `95% of the monthly quota used: ${user}`),
      "Quota used up: usr_0",
      "Quota available again: usr_1",
      "Firing: error_rate > 0.5",
    ];
    expect(summaries().toSorted()).toEqual(expected.toSorted());
  });

  it("hear of a user's new thresholds", async () => {
    const database = await open(migrations);
    const [one, two] = [await start(database), await start(await database.again())];
    two.emit("quota.used", quota(60));
    await rounds(3);
    await one.route("PUT /api/users/:id/alert-thresholds", { params: { id: "usr_ann" }, body: { thresholds: [60] } });
    await until(() => {
      two.emit("quota.used", quota(61));
      expect(summaries()).toEqual(["60% of the monthly quota used: usr_ann"]);
    });
  });

  it("take over what one left behind that died in the middle of a try", async () => {
    const database = await open(migrations);
    const dead = await start(database);
    hook.next(silence());
    dead.emit("quota.used", quota(80));
    await hook.call(0);
    rigs.length = 0;
    await start(await database.again());
    await until(() => expect(hook.calls).toHaveLength(2));
    expect(new Set(hook.calls.map(({ json }) => (json as Told).id)).size).toBe(1);
  });

  it("give a person what is kept about them, page their alerts, and forget them", async () => {
    const rig = await start(await open(migrations));
    rig.emit("quota.used", quota(80));
    rig.emit("quota.used", quota(80, { subject: "usr_bob", user: "usr_bob" }));
    await until(() => expect(hook.calls).toHaveLength(2));
    const first = (await rig.route("GET /api/alerts", { query: { limit: "1" } })).body as { data: object[]; next_cursor: string };
    const second = (await rig.route("GET /api/alerts", { query: { limit: "1", cursor: first.next_cursor } })).body;
    expect([...first.data, ...(second as { data: object[] }).data]).toHaveLength(2);
    expect(await rig.hooks.personalData?.export("usr_ann")).toMatchObject({ alerts: [{ user_id: "usr_ann" }] });
    expect(await rig.hooks.personalData?.erase("usr_ann")).toBe(2);
    expect(await rig.hooks.personalData?.export("usr_ann")).toMatchObject({ alerts: [] });
  });
});

describe.skipIf(!hasPostgres)("a database that is killed", () => {
  it("costs no call any time, and no alert once it is back", async () => {
    // What was committed is to survive the kill.
    const server = await startPostgres({ settings: { synchronous_commit: "on" } });
    const db = createDatabase({ url: server.url, data: "", random: { next: Math.random }, logger: new FakeLogger() });
    await db.migrate(migrations);
    const rig = await start(db);
    await server.kill();
    for (let user = 0; user < 20; user++) {
      await rig.call({ kind: "failed", status: 502 });
      rig.emit("quota.used", quota(80, { subject: `usr_${user}`, user: `usr_${user}` }));
    }
    await rounds(5);
    expect(hook.calls).toEqual([]);
    // One line each of the usage, the health and the outbox, however long it takes.
    expect(rig.logger.lines.filter(({ level }) => level === "warn").length).toBeLessThanOrEqual(3);
    await server.restart();
    await until(() => expect(hook.calls).toHaveLength(21));
    await rounds();
    expect(new Set(summaries()).size).toBe(21);
    expect(hook.calls).toHaveLength(21);
    await rig.hooks.stop?.();
    await db.close();
    await server.stop();
  });
});
