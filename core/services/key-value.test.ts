import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { freePort, hasRedis, type RedisServer, startRedis } from "../../test/support/redis.ts";
import { Scope } from "../di.ts";
import { FakeClock } from "../testing/clock.ts";
import { Clock } from "./clock.ts";
import { createKeyValue, KeyValue } from "./key-value.ts";
import { BoundedMemory, MemoryKeyValue } from "./key-value-memory.ts";
import type { Logger } from "./logger.ts";
import { RedisLink } from "./redis.ts";

function connect({ url, clock, logger }: { url: string; clock: Clock; logger: Logger }): KeyValue {
  return createKeyValue(clock, new RedisLink(url, clock, logger));
}

const clock = new Scope().get(Clock);

function collectingLogger() {
  const lines: string[] = [];
  const write = (first: unknown, second?: string) => void lines.push(second ?? String(first));
  const logger: Logger = { debug: write, info: write, warn: write, error: write, enabled: () => true, child: () => logger };
  return { logger, lines };
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  return { value: await work(), ms: performance.now() - start };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await condition()) return;
    await sleep(25);
  }
  throw new Error("did not come true within ten seconds");
}

describe("a key-value store in memory", () => {
  it("gives back what was set, as JSON, until it expires or is deleted", async () => {
    const fake = new FakeClock();
    const store = new MemoryKeyValue(fake);
    expect(await store.set("a", { deep: [1, "x", null] }, 1_000)).toBe(true);
    expect(await store.get("a")).toEqual({ deep: [1, "x", null] });
    await fake.advance(999);
    expect(await store.get("a")).toBeDefined();
    await fake.advance(1);
    expect(await store.get("a")).toBeUndefined();
    await store.set("b", 0, 1_000);
    expect(await store.get("b")).toBe(0);
    expect(await store.delete("b")).toBe(true);
    expect(await store.get("b")).toBeUndefined();
    expect(await store.delete("never there")).toBe(true);
  });

  it("takes any name for a key and copies its values", async () => {
    const store = new MemoryKeyValue(new FakeClock());
    const value = { list: [1] };
    for (const key of ["__proto__", "constructor", "", "headgate:a", "a:b"]) {
      expect(await store.get(key)).toBeUndefined();
      await store.set(key, value, 1_000);
      expect(await store.get(key)).toEqual(value);
    }
    value.list.push(2);
    expect(await store.get("__proto__")).toEqual({ list: [1] });
  });

  it("rejects a value that is not JSON, at the caller", async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const store = new MemoryKeyValue(new FakeClock());
    await expect(store.set("a", cyclic, 1_000)).rejects.toThrow(TypeError);
    expect(await store.set("b", undefined, 1_000)).toBe(true);
    expect(await store.get("b")).toBeUndefined();
  });

  it("keeps at most its limit, dropping what was used longest ago", async () => {
    const memory = new BoundedMemory(new FakeClock(), { entries: 3, characters: 100 });
    for (const key of ["a", "b", "c"]) await memory.set(key, key, 1_000);
    await memory.get("a");
    await memory.set("d", "d", 1_000);
    expect(memory.size).toBe(3);
    expect(await memory.get("b")).toBeUndefined();
    expect(await memory.get("a")).toBe("a");
    await memory.set("large", "x".repeat(98), 1_000);
    expect(memory.size).toBe(3);
    await memory.set("larger", "x".repeat(101), 1_000);
    expect(memory.size).toBe(0);
  });

  it("does not pile up what has expired", async () => {
    const fake = new FakeClock();
    const memory = new BoundedMemory(fake, { entries: 10_000, characters: 100_000 });
    for (let index = 0; index < 1_000; index++) await memory.set(`key ${index}`, "x", 100);
    await fake.advance(20_000);
    await memory.set("one more", "x", 100);
    expect(memory.size).toBe(1);
  });

  it("is the default of the KeyValue token", async () => {
    const store = new Scope().get(KeyValue);
    await store.set("a", 1, 1_000);
    expect(await store.get("a")).toBe(1);
    expect(store.healthy()).toBe(true);
    await store.stop();
  });
});

describe("a key-value store on a Redis that is not there", () => {
  it("answers misses, says so once, and stops asking", async () => {
    const { logger, lines } = collectingLogger();
    const store = connect({ url: `redis://:hunter2@127.0.0.1:${await freePort()}`, clock, logger });
    store.start?.();
    await until(() => !store.healthy());
    for (let call = 0; call < 5; call++) {
      expect(await store.get("a")).toBeUndefined();
      expect(await store.set("a", 1, 1_000)).toBe(false);
      expect(await store.delete("a")).toBe(false);
    }
    await until(async () => (await timed(() => store.get("a"))).ms < 20);
    const { ms } = await timed(async () => {
      for (let call = 0; call < 1_000; call++) await store.get("a");
    });
    expect(ms).toBeLessThan(100);
    expect(store.healthy()).toBe(false);
    await sleep(300);
    expect(lines).toEqual(["Redis is away; going on without it"]);
    expect(lines.join()).not.toContain("hunter2");
    expect((await timed(() => store.stop())).ms).toBeLessThan(500);
  });

  it("refuses what is no Redis URL without repeating it", () => {
    for (const url of ["", "hunter2", "http://:hunter2@localhost", "redis//:hunter2@localhost"]) {
      expect(() => connect({ url, clock, logger: collectingLogger().logger })).toThrow(/^((?!hunter2).)*$/);
    }
  });

  it("stops at once when it was never used", async () => {
    const { logger, lines } = collectingLogger();
    const store = connect({ url: "redis://127.0.0.1:1", clock, logger });
    expect(store.healthy()).toBe(true);
    await store.stop();
    expect(lines).toEqual([]);
  });
});

describe.skipIf(!hasRedis)("a key-value store on a real Redis", () => {
  let redis: RedisServer;
  let store: KeyValue;
  let lines: string[];
  const open = async (url = redis.url) => {
    const log = collectingLogger();
    lines = log.lines;
    store = connect({ url, clock, logger: log.logger });
    store.start?.();
  };
  const connected = () => until(() => store.set("ready", 1, 10_000));

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(() => store.stop());
  afterAll(() => redis.stop());

  it("shares values between two instances until they expire", async () => {
    await open();
    await connected();
    const other = connect({ url: redis.url, clock, logger: collectingLogger().logger });
    await store.set("shared", { __proto__: null, a: ["é"] }, 60_000);
    await store.set("brief", 1, 60);
    await until(async () => (await other.get("shared")) !== undefined);
    expect(await other.get("shared")).toEqual({ a: ["é"] });
    await until(async () => (await other.get("brief")) === undefined);
    expect(await other.delete("shared")).toBe(true);
    expect(await store.get("shared")).toBeUndefined();
    expect(store.healthy()).toBe(true);
    await other.stop();
  });

  it("A2: a frozen Redis costs a few calls 100 ms and the rest nothing, and is used again when it thaws", async () => {
    await open();
    await connected();
    redis.pause();
    try {
      const slow: number[] = [];
      for (let call = 0; call < 50; call++) {
        const { value, ms } = await timed<unknown>(() => (call % 2 ? store.get("ready") : store.set("b", call, 1_000)));
        expect(value).toBe(call % 2 ? undefined : false);
        expect(ms).toBeLessThan(180);
        if (ms > 20) slow.push(ms);
      }
      expect(slow.length).toBeLessThanOrEqual(5);
      expect(store.healthy()).toBe(false);
      await sleep(1_000);
      expect((await timed(() => store.get("ready"))).ms).toBeLessThan(20);
      expect(lines).toHaveLength(1);
    } finally {
      redis.resume();
    }
    await until(async () => (await store.get("ready")) === 1);
    expect(store.healthy()).toBe(true);
  });

  it("notices by itself that Redis has come up, without a call", async () => {
    await redis.kill();
    await open();
    await until(() => !store.healthy());
    await redis.restart();
    await until(() => store.healthy());
  });

  it("stops promptly while Redis is frozen", async () => {
    await open();
    await connected();
    redis.pause();
    try {
      const pending = store.get("ready");
      const { ms } = await timed(() => store.stop());
      expect(ms).toBeLessThan(400);
      expect(await pending).toBeUndefined();
      expect(await store.set("a", 1, 1_000)).toBe(false);
    } finally {
      redis.resume();
    }
  });

  it("survives a killed Redis and finds it again", async () => {
    await open();
    await connected();
    await redis.kill();
    for (let call = 0; call < 10; call++) expect(await store.set("a", call, 1_000)).toBe(false);
    expect(store.healthy()).toBe(false);
    await redis.restart();
    await until(() => store.healthy());
    expect(await store.set("a", 7, 10_000)).toBe(true);
    expect(await store.get("a")).toBe(7);
    expect(lines.filter((line) => line.includes("away"))).toHaveLength(1);
  });

  it("reads what is not its own as a miss", async () => {
    await open();
    await connected();
    const { createClient } = await import("@keyv/redis");
    const client = createClient({ url: redis.url });
    await client.connect();
    for (const text of ["not json", "5", "null", '"x"', '{"value":1}']) {
      await client.set("headgate:foreign", text);
      expect(await store.get("foreign")).toBeUndefined();
    }
    expect(await client.keys("*")).toContain("headgate:ready");
    expect(await client.pTTL("headgate:ready")).toBeGreaterThan(0);
    client.destroy();
    expect(store.healthy()).toBe(true);
  });
});

describe.skipIf(!hasRedis)("a key-value store with the wrong password", () => {
  it("A3: goes on without it, one log line, no password in it", async () => {
    const redis = await startRedis({ password: "right" });
    const { logger, lines } = collectingLogger();
    const wrong = connect({ url: redis.url.replace("right", "wr0ng"), clock, logger });
    wrong.start?.();
    await until(() => !wrong.healthy());
    expect(await wrong.set("a", 1, 1_000)).toBe(false);
    await sleep(500);
    expect(lines).toHaveLength(1);
    await wrong.stop();
    const right = connect({ url: redis.url, clock, logger });
    await until(() => right.set("a", 1, 1_000));
    await right.stop();
    await redis.stop();
  });
});
