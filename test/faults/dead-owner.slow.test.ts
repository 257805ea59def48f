import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { checkHistories, FakeLogger, ScriptedUpstream, upstreamHistory } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { readLedger, readQuota } from "../support/ledger.ts";
import { Load, slowly } from "../support/load.ts";
import { hasPostgres, startPostgres } from "../support/postgres.ts";
import { freePort } from "../support/redis.ts";

const RESERVED = { tokens: 1_500, money: 6_000_000, requests: 1 };

it.skipIf(!hasPostgres)(
  "D4: of two gateways on one PostgreSQL one is killed: the other frees what it held after a minute; started again at last, it settles late, and once",
  async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const url = await server.database("two");
    const upstream = (await ScriptedUpstream.start()).always(slowly(250));
    onTestFinished(() => upstream.close());
    const settings = async () => {
      const DATA = mkdtempSync(join(tmpdir(), "headgate-owner-"));
      onTestFinished(() => rmSync(DATA, { recursive: true, force: true }));
      return { UPSTREAM_URL: upstream.url, LEDGER_DATABASE: url, DATA, PORT: await freePort() };
    };
    const both = [await settings(), await settings()] as const;
    const start = async (which: 0 | 1) => {
      const gateway = spawnGateway(both[which], "ledger.config.ts");
      await gateway.ready;
      return gateway;
    };
    const [killed, other] = [await start(0), await start(1)];
    let targets: readonly (0 | 1)[] = [0, 1];
    const load = new Load("", 8, (index) => ({
      path: `http://127.0.0.1:${both[targets[index % targets.length] as 0 | 1].PORT}/v1/chat/completions`,
      model: "scripted/m",
      stream: index % 4 > 0,
      key: `key_of_usr_${index % 4}`,
      headers: { "x-test-user": `usr_${index % 4}`, "x-test-plan": "large" },
    }));
    const database = createDatabase({ url, data: "", random: { next: () => 0 }, logger: new FakeLogger() });
    onTestFinished(() => database.close());
    const instances = async () => {
      const rows = await database
        .tables<{ quota_slices: { instance: string; amount: number } }>()
        .selectFrom("quota_slices")
        .select("instance")
        .distinct()
        .where("amount", ">", 0)
        .execute();
      return rows.length;
    };
    await expect.poll(instances, { timeout: 20_000 }).toBe(2);
    await sleep(1_000);
    killed.child.kill("SIGKILL");
    targets = [1];
    await killed.exited;
    const gone = performance.now();
    expect(await instances()).toBe(2);
    await expect.poll(instances, { timeout: 90_000, interval: 500 }).toBe(1);
    const seconds = (performance.now() - gone) / 1_000;
    // The lease is for a minute, and looked at every ten seconds.
    expect(seconds).toBeLessThan(75);
    const again = await start(0);
    await load.stop();
    for (const { child, exited } of [other, again]) {
      child.kill("SIGTERM");
      expect(await exited).toBe(0);
    }
    const histories = {
      client: load.client.calls,
      upstream: upstreamHistory(upstream),
      ledger: await readLedger(database),
      quota: [await readQuota(database, (user) => `key_of_${user}`, RESERVED)],
      crashed: true,
    };
    expect(checkHistories(histories)).toEqual([]);
    process.stderr.write(`what it held was free ${seconds.toFixed(0)} s after it was killed\n`);
  },
  240_000,
);
