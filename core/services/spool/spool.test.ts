import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { FakeClock } from "../../testing/clock.ts";
import { FakeLogger } from "../../testing/services.ts";
import { createMetrics } from "../metrics-registry.ts";
import type { Spool } from "../spool.ts";
import { storedAlone } from "./arena.ts";
import { FileSpools } from "./spools.ts";

/** What is in a file to which these records were written, each list of them together. */
function fileOf(...lines: readonly (readonly string[])[]): string {
  return lines
    .map((records) => storedAlone(records))
    .map(({ slab, from, to }) => slab.bytes.toString("utf8", from, to))
    .join("");
}

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "headgate-spool-"));
  folders.push(folder);
  return folder;
}

interface Bench {
  readonly data: string;
  readonly clock: FakeClock;
  readonly spools: FileSpools;
  readonly spool: Spool;
  readonly delivered: string[];
  /** Deliveries fail while this is true. */
  away: boolean;
  /** They fail from this many records on. */
  takes: number;
  metric(name: string): number;
  /** Lets time pass until nothing waits. */
  settle(): Promise<void>;
}

async function open(data: string, carry?: () => readonly string[], hold?: Promise<void>): Promise<Bench> {
  const clock = new FakeClock();
  const metrics = createMetrics();
  const spools = new FileSpools(data, { clock, metrics, logger: new FakeLogger() });
  const delivered: string[] = [];
  const bench = { data, clock, spools, delivered, away: false, takes: Number.POSITIVE_INFINITY } as Bench & { spool: Spool };
  bench.spool = await spools.open({
    name: "test",
    ...(carry && { carry }),
    deliver: async (records) => {
      await hold;
      if (bench.away || delivered.length >= bench.takes) throw new Error("the database is away");
      delivered.push(...records);
    },
  });
  onTestFinished(() => spools.close());
  return Object.assign(bench, {
    metric: (name: string) =>
      [...metrics.collect()]
        .find((each) => each.name === name)
        ?.points.reduce((sum, point) => sum + ("value" in point ? point.value : 0), 0) ?? 0,
    settle: async () => {
      for (let turn = 0; turn < 200 && bench.spool.backlog > 0; turn++) {
        await new Promise(setImmediate);
        await clock.advance(50);
      }
      await new Promise(setImmediate);
    },
  });
}

/** As a killed process leaves it: a copy of its files, cut short where wanted. */
async function crash(data: string, cutAt?: number): Promise<string> {
  await new Promise(setImmediate);
  const copy = dataFolder();
  const from = join(data, "instances/0/test");
  const to = join(copy, "instances/0/test");
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name));
  const last = readdirSync(to).sort().at(-1);
  if (cutAt !== undefined && last) truncateSync(join(to, last), cutAt);
  return copy;
}

describe("a spool", () => {
  it("delivers what was appended, in order, in batches", async () => {
    const bench = await open(dataFolder());
    for (let n = 0; n < 1200; n++) expect(bench.spool.append(`record ${n}`)).toBe(true);
    expect(bench.spool.backlog).toBe(1200);
    await bench.settle();
    expect(bench.delivered).toEqual(Array.from({ length: 1200 }, (_, n) => `record ${n}`));
    expect(bench.spool.backlog).toBe(0);
  });

  it("offers a batch again until it is taken, with growing pauses", async () => {
    const bench = await open(dataFolder());
    bench.away = true;
    bench.spool.append("one");
    await bench.clock.advance(60_000);
    expect(bench.delivered).toEqual([]);
    bench.away = false;
    bench.spool.append("two");
    await bench.clock.advance(5_000);
    await bench.settle();
    expect(bench.delivered).toEqual(["one", "two"]);
  });

  it("says when all is delivered, and when it is not in time", async () => {
    const bench = await open(dataFolder());
    bench.spool.append("one");
    bench.away = true;
    const late = bench.spool.drained(1_000);
    await bench.clock.advance(1_001);
    expect(await late).toBe(false);
    bench.away = false;
    const drained = bench.spool.drained(10_000);
    await bench.clock.advance(6_000);
    expect(await drained).toBe(true);
  });

  it("leaves what a process could not deliver to the next, which has the same name", async () => {
    const data = dataFolder();
    const first = await open(data);
    first.away = true;
    first.spool.append("one");
    const closing = first.spool.close(100);
    await first.clock.advance(200);
    await closing;
    const { instance } = first.spools;
    first.spools.close();
    const second = await open(data);
    expect(second.spools.instance).toBe(instance);
    await second.clock.advance(100);
    await second.settle();
    expect(second.delivered).toEqual(["one"]);
  });

  it("leaves files alone that it has not read to their end, when it is closed while catching up or before", async () => {
    const data = dataFolder();
    const folder = join(data, "instances/0/test");
    mkdirSync(folder, { recursive: true });
    const records = Array.from({ length: 5_000 }, (_, n) => `${n} ${"x".repeat(600)}`);
    writeFileSync(join(folder, "000000000001.log"), fileOf(...records.map((record) => [record])));

    const unread = await open(data);
    await unread.clock.runUntil(unread.spool.close(0));
    unread.spools.close();

    const catching = await open(data);
    catching.takes = 1;
    await catching.clock.advance(1);
    await catching.clock.runUntil(catching.spool.close(0));
    catching.spools.close();
    expect(catching.delivered.length).toBeGreaterThan(0);
    expect(catching.delivered.length).toBeLessThan(5_000);

    const last = await open(data);
    await last.clock.advance(2_000);
    expect([...new Set([...catching.delivered, ...last.delivered])]).toEqual(records);
    expect(last.delivered.slice(-1)).toEqual(records.slice(-1));
  });

  it("takes over what a process that never came back left behind", async () => {
    const data = dataFolder();
    const [first, second] = [await open(data), await open(data)];
    expect(second.spools.instance).not.toBe(first.spools.instance);
    second.away = true;
    second.spool.append("orphan");
    const closing = second.spool.close(100);
    await second.clock.advance(200);
    await closing;
    second.spools.close();
    const closed = first.spool.close(100);
    await first.clock.advance(200);
    await closed;
    first.spools.close();
    const third = await open(data);
    await third.clock.advance(100);
    await third.settle();
    expect(third.delivered).toEqual(["orphan"]);
  });

  it("leaves to the next process what an earlier one left, until a record of its own has been delivered after it", async () => {
    const data = dataFolder();
    const first = await open(data);
    first.spool.append("begun");
    const second = await open(await crash(data));
    second.takes = 1;
    second.spool.append("started anew");
    await second.clock.advance(100);
    expect(second.delivered).toEqual(["begun"]);

    const third = await open(await crash(second.data));
    third.spool.append("and again");
    await third.settle();
    expect(third.delivered).toEqual(["begun", "started anew", "and again"]);

    const last = await open(await crash(third.data));
    await last.settle();
    expect(last.delivered).not.toContain("begun");
  });

  it("opens each new file with what must not be forgotten", async () => {
    const data = dataFolder();
    const bench = await open(data, () => ["still open"]);
    bench.spool.append("x".repeat(100_000));
    await bench.settle();
    const next = await open(await crash(data));
    await next.clock.advance(100);
    await next.settle();
    expect(next.delivered).toContain("still open");
    expect(next.delivered).not.toContain("x".repeat(100_000));
  });

  it("keeps little in memory while the database is away for long, and everything on disk", async () => {
    const bench = await open(dataFolder());
    bench.away = true;
    for (let n = 0; n < 45_000; n++) {
      bench.spool.append(`record ${n}`);
      if (n % 1000 === 0) await new Promise(setImmediate);
    }
    expect(bench.spool.backlog).toBe(45_000);
    bench.away = false;
    await bench.clock.advance(6_000);
    await bench.settle();
    expect(bench.delivered).toEqual(Array.from({ length: 45_000 }, (_, n) => `record ${n}`));
  });
});

describe("a spool that is asked to end", () => {
  it("does so in time when a delivery never ends, and leaves its records to the next", async () => {
    const data = dataFolder();
    const hanging = Promise.withResolvers<void>();
    const bench = await open(data, undefined, hanging.promise);
    bench.spool.append("one");
    await bench.clock.advance(300);
    await bench.clock.runUntil(bench.spool.close(100));
    expect(bench.clock.monotonic()).toBeLessThan(410);
    bench.spools.close();
    hanging.resolve();
    await new Promise(setImmediate);
    const next = await open(data);
    await next.clock.advance(100);
    expect(next.delivered).toEqual(["one"]);
  });

  it("has drained once what was there is delivered, whatever is appended meanwhile", async () => {
    const bench = await open(dataFolder());
    bench.spool.append("one");
    let appended = 0;
    const more = bench.clock.interval(1, () => bench.spool.append(`more ${++appended}`));
    expect(await bench.clock.runUntil(bench.spool.drained(1_000))).toBe(true);
    expect(bench.delivered[0]).toBe("one");
    expect(bench.clock.monotonic()).toBeLessThan(10);

    bench.away = true;
    for (let n = 0; n < 30_000; n++) bench.spool.append(`record ${n}`);
    bench.away = false;
    const last = `more ${appended}`;
    expect(await bench.clock.runUntil(bench.spool.drained(10_000))).toBe(true);
    expect(bench.delivered).toContain(last);
    expect(bench.delivered).toContain("record 29999");
    more.cancel();
  });
});

describe("A13: a spool whose file ends anywhere", () => {
  const LINES = [["the first"], ['the second, with "quotes" and ünïcödé', "the third"], ["the fourth"]];
  const whole = fileOf(...LINES);

  it("gives its whole records, and nothing else", async () => {
    for (let size = 0; size <= Buffer.byteLength(whole); size++) {
      const data = dataFolder();
      const folder = join(data, "instances/0/test");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "000000000001.log"), Buffer.from(whole).subarray(0, size));
      const bench = await open(data);
      bench.spool.append("the next");
      await bench.clock.advance(100);
      await bench.settle();
      const ends = LINES.map((_, n) => Buffer.byteLength(fileOf(...LINES.slice(0, n + 1))));
      const complete = LINES.filter((_, n) => (ends[n] as number) <= size).flat();
      expect(bench.delivered, `cut at ${size}`).toEqual([...complete, "the next"]);
      expect(bench.metric("headgate_spool_torn_total")).toBe(size === 0 || ends.includes(size) ? 0 : 1);
      bench.spools.close();
    }
  });

  it("leaves out a line that was damaged, and counts its records", async () => {
    const data = dataFolder();
    const folder = join(data, "instances/0/test");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "000000000001.log"), whole.replace("second", "sEcond"));
    const bench = await open(data);
    await bench.clock.advance(100);
    await bench.settle();
    expect(bench.delivered).toEqual(["the first", "the fourth"]);
    expect(bench.metric("headgate_spool_torn_total")).toBe(2);
  });
});

describe("through crashes and outages", () => {
  it("every record that was written is delivered at least once, in order", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant("append" as const), size: fc.integer({ min: 1, max: 3_000 }) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 500 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("away" as const), away: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        let data = dataFolder();
        let bench = await open(data);
        const appended: string[] = [];
        const seen: string[] = [];
        for (const each of steps) {
          if (each.kind === "append") {
            const record = `${appended.length} ${"x".repeat(each.size)}`;
            expect(bench.spool.append(record)).toBe(true);
            appended.push(record);
          } else if (each.kind === "wait") await bench.clock.advance(each.ms);
          else if (each.kind === "away") bench.away = each.away;
          else {
            data = await crash(data);
            seen.push(...bench.delivered);
            bench.spools.close();
            bench = await open(data);
          }
        }
        bench.away = false;
        await bench.clock.advance(6_000);
        await bench.settle();
        seen.push(...bench.delivered);
        bench.spools.close();
        // In order: the first time each is seen comes after the first time of those before it.
        expect([...new Set(seen)]).toEqual(appended);
      }),
      { numRuns: 60 },
    );
  });

  it("takes any number of records in one turn while its files can be written", async () => {
    const data = dataFolder();
    const bench = await open(data);
    bench.away = true;
    for (let n = 0; n < 60_000; n++) expect(bench.spool.append(`record ${n}`)).toBe(true);
    const next = await open(await crash(data));
    expect(next.spool.backlog).toBe(60_000);
    await next.clock.advance(5_000);
    expect(next.delivered).toEqual(Array.from({ length: 60_000 }, (_, n) => `record ${n}`));
    expect(bench.metric("headgate_spool_dropped_total")).toBe(0);
  });

  it("goes on in a new file, with all that waits, when its folder is removed", async () => {
    const data = dataFolder();
    const bench = await open(data, () => ["still open"]);
    bench.away = true;
    bench.spool.append("one");
    await new Promise(setImmediate);
    rmSync(join(data, "instances/0/test"), { recursive: true });
    bench.spool.append("two");
    await bench.clock.advance(200);
    expect(bench.spool.append("three")).toBe(true);
    const next = await open(await crash(data));
    await next.clock.advance(100);
    expect(next.delivered).toEqual(["still open", "one", "two", "three"]);
    expect(bench.metric("headgate_spool_errors_total")).toBe(1);
  });

  it("sets a file aside that cannot be read, and goes on with the next", async () => {
    const data = dataFolder();
    const folder = join(data, "instances/0/test");
    mkdirSync(join(folder, "000000000001.log"), { recursive: true });
    writeFileSync(join(folder, "000000000002.log"), fileOf(["behind it"]));
    const bench = await open(data);
    await bench.clock.advance(100);
    expect(bench.delivered).toEqual(["behind it"]);
    expect(bench.metric("headgate_spool_errors_total")).toBe(1);
    bench.spool.append("its own");
    await bench.settle();
    expect(readdirSync(folder)).toEqual(["000000000001.log.bad", "000000000003.log"]);
  });

  it("keeps records in memory while its files cannot be written, and says so", async () => {
    const data = dataFolder();
    const bench = await open(data);
    rmSync(join(data, "instances/0/test"), { recursive: true });
    writeFileSync(join(data, "instances/0/test"), "in the way");
    bench.spool.append("x".repeat(5 * 1024 * 1024));
    await new Promise(setImmediate);
    bench.spool.append("after");
    await new Promise(setImmediate);
    expect(bench.metric("headgate_spool_errors_total")).toBeGreaterThan(0);
    expect(bench.spool.append("more")).toBe(false);
    await bench.settle();
    expect(bench.delivered.map((record) => record.slice(0, 5))).toEqual(["xxxxx", "after", "more"]);
    expect(readFileSync(join(data, "instances/0/test"), "utf8")).toBe("in the way");
  });
});
