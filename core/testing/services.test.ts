import { expect, it } from "vitest";
import { bind } from "../di.ts";
import { Clock } from "../services/clock.ts";
import { KeyValue } from "../services/key-value.ts";
import { Logger } from "../services/logger.ts";
import { Random } from "../services/random.ts";
import { FakeRandom } from "./random.ts";
import { fakeServices } from "./services.ts";

it("gives fakes for time, chance and the outside, unless told otherwise", () => {
  const random = new FakeRandom([0.25]);
  const { scope, clock } = fakeServices([bind(Random, random)]);
  expect(scope.get(Clock)).toBe(clock);
  expect(scope.get(Random)).toBe(random);
});

it("keeps what was logged, with the fields of the logger's parents", () => {
  const { scope, logger } = fakeServices();
  scope.get(Logger).child({ plugin: "quota" }).warn({ left: 1 }, "nearly out");
  scope.get(Logger).info("hello");
  expect(logger.lines).toEqual([
    { level: "warn", message: "nearly out", fields: { plugin: "quota", left: 1 } },
    { level: "info", message: "hello", fields: {} },
  ]);
});

it("stores copies until they expire, and misses while the store is away", async () => {
  const { scope, clock, keyValue } = fakeServices();
  const store = scope.get(KeyValue);
  const value = { tokens: [1] };
  await store.set("k", value, 100);
  value.tokens.push(2);
  expect(await store.get("k")).toEqual({ tokens: [1] });
  keyValue.reachable = false;
  expect([await store.get("k"), await store.set("k", 1, 1), store.healthy()]).toEqual([undefined, false, false]);
  keyValue.reachable = true;
  await clock.advance(100);
  expect(await store.get("k")).toBeUndefined();
});
