import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  checkHistories,
  FakeLogger,
  FakeRandom,
  type Histories,
  ScriptedUpstream,
  upstreamHistory,
  type Violation,
} from "headgate/testing";
import { expect, onTestFinished } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { spawnGateway } from "./gateway-process.ts";
import { readLedger, readQuota } from "./ledger.ts";
import { Load, slowly } from "./load.ts";
import { freePort } from "./redis.ts";

const CLIENTS = 12;
/** Most that is set aside for one call of `ClientRecorder`: 1,000 tokens of output, and each byte of its body as input. */
const RESERVED = { tokens: 1_500, money: 6_000_000, requests: 1 };

export interface KillRun {
  readonly violations: readonly Violation[];
  readonly histories: Histories;
  /** Exit code of the last process, which was stopped as it should be. */
  readonly exit: number | NodeJS.Signals;
  /** From its start until it answered, in ms, for each process that got so far. */
  readonly starts: readonly number[];
  /** Files left in its spools. */
  readonly left: readonly string[];
}

/**
 * A gateway with ledger and budgets that is killed again and again while clients stream from it: at a random moment under
 * load, sometimes while it starts or stops. The last one is stopped as it should be; then all histories are joined.
 */
export async function killAgainAndAgain(cycles: number, seed: number): Promise<KillRun> {
  const random = new FakeRandom(seed);
  const data = mkdtempSync(join(tmpdir(), "headgate-kill-"));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const upstream = (await ScriptedUpstream.start()).always(slowly(250));
  onTestFinished(() => upstream.close());
  const settings = { UPSTREAM_URL: upstream.url, DATA: data, PORT: await freePort() };
  const load = new Load(`http://127.0.0.1:${settings.PORT}`, CLIENTS, (index) => ({
    model: "scripted/m",
    stream: index % 4 > 0,
    key: `key_of_usr_${index % 4}`,
    headers: { "x-test-user": `usr_${index % 4}`, "x-test-plan": index % 4 === 3 ? "small" : "large" },
  }));
  const starts: number[] = [];
  const start = async () => {
    const began = performance.now();
    const gateway = spawnGateway(settings, "ledger.config.ts");
    void gateway.ready.then(
      () => starts.push(performance.now() - began),
      () => undefined,
    );
    return gateway;
  };
  for (let cycle = 0; cycle < cycles; cycle++) {
    const gateway = await start();
    const kind = random.next();
    if (kind < 0.15) await sleep(random.next() * 1_500);
    else {
      await gateway.ready;
      await answered(load);
      await sleep(random.next() * 700);
      if (kind > 0.85) {
        gateway.child.kill("SIGTERM");
        await sleep(random.next() * 400);
      }
    }
    gateway.child.kill("SIGKILL");
    await gateway.exited;
  }
  const last = await start();
  await last.ready;
  await sleep(500);
  await load.stop();
  last.child.kill("SIGTERM");
  const exit = await last.exited;
  const database = createDatabase({ data, random: { next: () => 0 }, logger: new FakeLogger() });
  const histories = {
    client: load.client.calls,
    upstream: upstreamHistory(upstream),
    ledger: await readLedger(database),
    quota: [await readQuota(database, (user) => `key_of_${user}`, RESERVED)],
    crashed: true,
  };
  await database.close();
  const instances = join(data, "instances");
  const left = readdirSync(instances, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".log"));
  return { violations: checkHistories(histories), histories, exit, starts, left };
}

/** Until the new process has answered a call; on a busy machine the first takes its time. */
async function answered({ client }: Load): Promise<void> {
  const before = client.calls.length;
  for (let turn = 0; turn < 200 && !client.calls.slice(before).some(({ status }) => status === 200); turn++) await sleep(25);
}

/** H4: nothing lost, nothing doubled, nothing misbilled; what was under way when it was killed stands there as unknown, once. */
export function expectExact({ violations, histories, exit, starts, left }: KillRun, cycles: number): void {
  expect(violations).toEqual([]);
  expect([exit, left]).toEqual([0, []]);
  const { exchanges } = histories.ledger;
  const unknown = exchanges.filter((row) => row.unknown).length;
  expect(unknown, "calls of which nothing more was heard").toBeLessThanOrEqual(cycles * CLIENTS);
  // The run has tried what it is for.
  expect(unknown).toBeGreaterThan(0);
  expect(histories.client.filter(({ answer }) => answer.ended).length).toBeGreaterThan(cycles);
  expect(
    histories.client.some(({ status }) => status === 429),
    "the small budgets have run out",
  ).toBe(true);
  expect(starts.length).toBeGreaterThan(cycles / 2);
  process.stderr.write(
    `${cycles} kills: ${exchanges.length} calls, ${unknown} of them unknown, none without a row; starts took at most ${Math.round(Math.max(...starts))} ms\n`,
  );
}
