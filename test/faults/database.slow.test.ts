import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { FakeLogger } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { WRITER_MIGRATIONS, type WriterTables } from "../support/database-writer-tables.ts";

const WRITER = fileURLToPath(new URL("../support/database-writer.ts", import.meta.url));

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "headgate-kill-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts the writer; `acknowledged` grows as it writes. */
function startWriter(data: string, acknowledged: Set<number>): { child: ChildProcess; said: () => string; ended: Promise<unknown> } {
  const child = spawn(process.execPath, ["--conditions=headgate-source", WRITER, data], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) acknowledged.add(Number(line));
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  return { child, said: () => said, ended: once(child, "close") };
}

/** Every acknowledged row is there, and of no pair only a half. */
async function expectWhole(data: string, acknowledged: ReadonlySet<number>): Promise<void> {
  const database = createDatabase({ data, random: { next: () => 0 }, logger: new FakeLogger() });
  const opening = performance.now();
  const rows = await database.tables<WriterTables>().selectFrom("rows").selectAll().execute();
  expect(performance.now() - opening, "ms to reopen").toBeLessThan(5_000);
  const there = new Set(rows.map(({ id }) => id));
  expect(
    [...acknowledged].filter((id) => !there.has(id)),
    "acknowledged rows that are lost",
  ).toEqual([]);
  expect(
    rows.filter(({ pair }) => pair !== null && !there.has(pair)),
    "halves of transactions",
  ).toEqual([]);
  await database.close();
}

it.each(["SIGKILL", "SIGTERM"] as const)(
  "A14: %s 25 times under load loses no acknowledged row, and a killed process's lock is taken over",
  async (signal) => {
    const data = temporaryFolder();
    const acknowledged = new Set<number>();
    for (let round = 0; round < 25; round++) {
      const before = acknowledged.size;
      const { child, said, ended } = startWriter(data, acknowledged);
      while (acknowledged.size === before) {
        expect([child.exitCode, said()]).toEqual([null, ""]);
        await sleep(5);
      }
      await sleep(Math.random() * 300);
      child.kill(signal);
      await ended;
      await expectWhole(data, acknowledged);
    }
    expect(acknowledged.size).toBeGreaterThan(1_000);
  },
  300_000,
);

it("A14: killed during its first migration, it begins anew and gets through", async () => {
  let halfway = 0;
  for (let round = 0; round < 30; round++) {
    const data = temporaryFolder();
    const { child, ended } = startWriter(data, new Set());
    while (!readdirSync(data).includes("headgate.db") && child.exitCode === null) await sleep(1);
    await sleep(Math.random() * 60);
    child.kill("SIGKILL");
    await ended;
    const database = createDatabase({ data, random: { next: () => 0 }, logger: new FakeLogger() });
    if ((await database.migrate(WRITER_MIGRATIONS)).length > 0) halfway += 1;
    expect(await database.pending(WRITER_MIGRATIONS)).toEqual({ names: [], blank: false });
    await database.close();
  }
  expect(halfway, "kills that came before the migration was done").toBeGreaterThan(0);
}, 300_000);

it("A15: a second process exits at once, naming the first, which goes on; killed, its lock is free", async () => {
  const data = temporaryFolder();
  const acknowledged = new Set<number>();
  const first = startWriter(data, acknowledged);
  while (acknowledged.size === 0) await sleep(5);
  const second = startWriter(data, new Set());
  await second.ended;
  expect(second.child.exitCode).not.toBe(0);
  expect(second.said()).toContain(`another gateway (process ${first.child.pid}) has the database`);
  expect(readFileSync(join(data, "headgate.db-pid"), "utf8")).toBe(`${first.child.pid}\n`);
  const before = acknowledged.size;
  await expect.poll(() => acknowledged.size, { timeout: 5_000 }).toBeGreaterThan(before);
  first.child.kill("SIGKILL");
  await first.ended;
  const third = startWriter(data, acknowledged);
  const after = acknowledged.size;
  await expect.poll(() => acknowledged.size, { timeout: 5_000 }).toBeGreaterThan(after);
  third.child.kill("SIGKILL");
  await third.ended;
  await expectWhole(data, acknowledged);
}, 60_000);
