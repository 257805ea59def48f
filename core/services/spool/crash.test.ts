import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { FakeClock } from "../../testing/clock.ts";
import { FakeLogger } from "../../testing/services.ts";
import { createMetrics } from "../metrics-registry.ts";
import { tryLock } from "../os-lock.ts";
import type { Spool } from "../spool.ts";
import { FileSpools } from "./spools.ts";

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "headgate-spool-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function open(data: string) {
  const clock = new FakeClock();
  const spools = new FileSpools(data, { clock, metrics: createMetrics(), logger: new FakeLogger() });
  const delivered: string[] = [];
  const database = { away: false };
  const spool = await spools.open({
    name: "test",
    deliver: async (records) => {
      if (database.away) throw new Error("the database is away");
      delivered.push(...records);
    },
  });
  onTestFinished(() => spools.close());
  return { clock, spools, spool, delivered, database };
}

/** A process with a spool on `data` that nothing is delivered from; it runs `work`, which has `spool`, `say` and `turn`. */
function child(data: string, work: string): { process: ChildProcess; lines: AsyncIterableIterator<string> } {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const code = `
    import { writeSync } from "node:fs";
    import { FileSpools } from ${url("spools.ts")};
    import { createMetrics } from ${url("../metrics-registry.ts")};
    import { FakeClock } from ${url("../../testing/clock.ts")};
    const say = (line) => writeSync(1, line + "\\n");
    const turn = () => new Promise(setImmediate);
    setInterval(() => {}, 1000);
    say("ready");
    const logger = { error() {}, warn() {} };
    const spools = new FileSpools(${JSON.stringify(data)}, { clock: new FakeClock(), metrics: createMetrics(), logger });
    const spool = await spools.open({ name: "test", deliver: async () => {} });
    ${work}`;
  const process_ = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void process_.kill("SIGKILL"));
  return { process: process_, lines: createInterface({ input: process_.stdout })[Symbol.asyncIterator]() };
}

describe("A13: a process that is killed while it appends", () => {
  it("loses no record that was appended a turn ago, and keeps their order", { timeout: 60_000 }, async () => {
    const data = dataFolder();
    let next = 0;
    const seen: string[] = [];
    for (let cycle = 0; cycle < 4; cycle++) {
      const killed = child(
        data,
        `for (let n = ${next}; ; ) {
          for (let k = 0; k < 30; k++) spool.append(n++ + " " + "x".repeat(600));
          await turn();
          say(n);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }`,
      );
      let acknowledged = next;
      for await (const line of killed.lines) {
        if (line === "ready") continue;
        acknowledged = Number(line);
        if (acknowledged >= next + 3_000) killed.process.kill("SIGKILL");
      }
      const { clock, spools, spool, delivered } = await open(data);
      expect(await clock.runUntil(spool.drained(60_000))).toBe(true);
      await clock.runUntil(spool.close(0));
      spools.close();
      const numbers = delivered.map((record) => Number(record.split(" ")[0]));
      expect(numbers.length).toBeGreaterThanOrEqual(acknowledged - next);
      expect(numbers).toEqual(numbers.map((_, n) => next + n));
      seen.push(...delivered);
      next += numbers.length;
    }
    expect(new Set(seen).size).toBe(next);
  });

  it("gets the place it had, though another looks for what was left just then", { timeout: 60_000 }, async () => {
    const data = dataFolder();
    mkdirSync(join(data, "instances/0"), { recursive: true });
    const scan = tryLock(join(data, "instances/lock"));
    const looked = tryLock(join(data, "instances/0/lock"));
    const { process: starting, lines } = child(data, "say(spools.instance);");
    expect((await lines.next()).value).toBe("ready");
    await new Promise((resolve) => setTimeout(resolve, 300));
    looked?.();
    scan?.();
    expect((await lines.next()).value).toMatch(/^ins_/);
    expect(readdirSync(join(data, "instances")).sort()).toEqual(["0", "lock"]);
    starting.kill("SIGKILL");
    await once(starting, "exit");
  });
});

/** Mounts a file system in memory, as root only. */
function mount(path: string, options: string): void {
  mkdirSync(path, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]);
  onTestFinished(() => void execFileSync("umount", ["-l", path]));
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "headgate-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], { stdio: "ignore" });
    execFileSync("umount", ["-l", folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Appends so many, thirty a turn; how many of them went into a file. */
async function fill(spool: Spool, from: number, to: number): Promise<number> {
  let written = 0;
  for (let n = from; n < to; n++) {
    if (spool.append(`${n} ${"x".repeat(600)}`)) written += 1;
    if (n % 30 === 0) await new Promise(setImmediate);
  }
  return written;
}

describe.skipIf(!canMount())("A13: a spool on a file system that takes nothing", () => {
  it("goes on from memory when the disk is full, and back to its files when it is not", async () => {
    const data = dataFolder();
    mount(data, "size=1m");
    const { clock, spool, delivered, database } = await open(data);
    database.away = true;
    const written = await fill(spool, 0, 3_000);
    expect(written).toBeGreaterThan(1_000);
    expect(written).toBeLessThan(2_000);
    expect(spool.backlog).toBe(3_000);
    database.away = false;
    expect(await clock.runUntil(spool.drained(10_000))).toBe(true);
    await fill(spool, 3_000, 3_100);
    // The room is free once the old file is closed, which happens in the background.
    await vi.waitFor(async () => {
      spool.append("3100");
      await clock.advance(1_000);
      expect(spool.append("3100")).toBe(true);
    });
    expect(await clock.runUntil(spool.drained(10_000))).toBe(true);
    expect(delivered.slice(0, 3_100).map((record) => Number(record.split(" ")[0]))).toEqual(Array.from({ length: 3_100 }, (_, n) => n));
  });

  it("goes on from memory for as long as the database is well, when its folder is read-only", async () => {
    const data = dataFolder();
    mount(join(data, "instances/0/test"), "ro");
    const { clock, spool, delivered } = await open(data);
    for (let n = 0; n < 25; n++) {
      expect(await fill(spool, n * 1_000, (n + 1) * 1_000)).toBeLessThanOrEqual(1);
      await clock.advance(100);
    }
    expect(await clock.runUntil(spool.drained(10_000))).toBe(true);
    expect(delivered).toHaveLength(25_000);
  });
});
