import fc from "fast-check";
import { resolveConfig } from "headgate";
import { rateLimit } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { describe, expect, it } from "vitest";
import { merged } from "./claims.ts";
import { type Claim, LocalCounters } from "./counters.ts";
import { duration } from "./headers.ts";
import { parseLimit, showLimit } from "./limit-text.ts";
import { RateLimitOptions } from "./options.ts";

const claim = (parts: Partial<Claim> = {}): Claim => ({
  key: "a",
  unit: "tokens",
  cost: 1,
  amount: 10,
  windowMs: 16_000,
  burst: parts.amount ?? 10,
  ...parts,
});

describe("a sliding window", () => {
  it("never holds more than the limit, wherever it is laid", () => {
    const arrival = fc.record({ wait: fc.integer({ min: 0, max: 9_000 }), cost: fc.integer({ min: 1, max: 4 }) });
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 200 }), fc.integer({ min: 4, max: 30 }), (arrivals, amount) => {
        let now = 5;
        const counters = new LocalCounters(() => now);
        const admitted: { at: number; cost: number }[] = [];
        for (const { wait, cost } of arrivals) {
          now += wait;
          if (counters.take([claim({ cost, amount })]).kind === "admitted") admitted.push({ at: now, cost });
        }
        for (const { at } of admitted) {
          const within = admitted.filter((other) => other.at >= at && other.at < at + 16_000);
          expect(within.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(amount);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("says when there is room again, and is right about it", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 60 }), (waits) => {
        let now = 0;
        const counters = new LocalCounters(() => now);
        for (const wait of waits) {
          now += wait;
          const verdict = counters.take([claim({ amount: 3 })]);
          if (verdict.kind === "admitted") continue;
          expect(verdict.retryMs).toBeGreaterThan(0);
          expect(verdict.retryMs).toBeLessThanOrEqual(17_000);
          now += verdict.retryMs;
          expect(counters.take([claim({ amount: 3 })]).kind).toBe("admitted");
        }
      }),
      { numRuns: 200 },
    );
  });

  it("lets no more than the burst through at once, also over the edge of a slot", () => {
    let now = 999;
    const counters = new LocalCounters(() => now);
    const tries = () =>
      Array.from({ length: 10 }, () => counters.take([claim({ burst: 4 })]).kind).filter((kind) => kind === "admitted").length;
    expect(tries()).toBe(4);
    now = 1_000;
    expect(tries()).toBe(0);
    now = 2_000;
    expect(tries()).toBe(4);
    now = 4_000;
    expect(tries()).toBe(2);
  });

  it("never lets more than the burst through in a sixteenth of its length, and says when it will", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 150 }), fc.integer({ min: 1, max: 6 }), (waits, burst) => {
        let now = 3;
        const counters = new LocalCounters(() => now);
        const admitted: number[] = [];
        for (const wait of waits) {
          now += wait;
          const verdict = counters.take([claim({ amount: 40, burst })]);
          if (verdict.kind === "refused") {
            now += verdict.retryMs;
            expect(counters.take([claim({ amount: 40, burst })]).kind).toBe("admitted");
          }
          admitted.push(now);
        }
        for (const at of admitted) expect(admitted.filter((other) => other >= at && other < at + 1_000).length).toBeLessThanOrEqual(burst);
      }),
      { numRuns: 200 },
    );
  });

  it("that is in use is not forgotten for others, however many come", () => {
    const counters = new LocalCounters(() => 0);
    const busy = claim({ key: "busy", amount: 5 });
    for (let n = 0; n < 5; n++) counters.take([busy]);
    for (let n = 0; n < 120_000; n++) {
      counters.take([claim({ key: `other ${n}` })]);
      if (n % 20_000 === 0) expect(counters.take([busy]).kind).toBe("refused");
    }
  });

  it("changes nothing when a later one refuses", () => {
    const counters = new LocalCounters(() => 0);
    const [wide, narrow] = [claim({ key: "wide", amount: 5 }), claim({ key: "narrow", amount: 1 })];
    expect(counters.take([wide, narrow]).kind).toBe("admitted");
    for (let n = 0; n < 20; n++) expect(counters.take([wide, narrow])).toMatchObject({ kind: "refused", at: 1 });
    expect(counters.take([wide])).toMatchObject({ kind: "admitted", standings: [{ used: 2 }] });
  });

  it("takes back what was not used, and never goes below nothing", () => {
    const counters = new LocalCounters(() => 0);
    const verdict = counters.take([claim({ cost: 8 })]);
    if (verdict.kind !== "admitted") throw new Error("refused");
    counters.correct("a", verdict.slots[0] as number, -6);
    expect(counters.take([claim({ cost: 8 })])).toMatchObject({ kind: "admitted", standings: [{ used: 10 }] });
    counters.correct("a", verdict.slots[0] as number, -100);
    expect(counters.take([claim({ cost: 10 })])).toMatchObject({ kind: "admitted", standings: [{ used: 10 }] });
  });

  it("is held at its share while others count for themselves", () => {
    const counters = new LocalCounters(() => 0);
    const admitted = Array.from({ length: 10 }, () => counters.take([claim()], () => 1 / 4).kind).filter((kind) => kind === "admitted");
    expect(admitted).toHaveLength(2);
  });
});

describe("a limit in words", () => {
  it.each([
    ["100/minute", "100 requests/minute per key"],
    ["50_000 tokens/minute per user burst 10k", "50,000 tokens/minute per user"],
    ["1k requests / hour per ip", "1,000 requests/hour per ip"],
    ["8 in flight per team", "8 in flight per team"],
  ])("%s", (text, shown) => {
    expect(showLimit(parseLimit(text) as never)).toBe(shown);
  });

  it.each([
    ["", ""],
    ["100", ""],
    ["100/fortnight", 'no window "fortnight"; there are second, minute, hour, day'],
    ["100/minutes", 'no window "minutes"; did you mean "minute"?'],
    ["100 tokns/minute", 'nothing to count called "tokns"; did you mean "tokens"?'],
    ["0/minute", "a whole one from 1 on"],
    ["-1/minute", ""],
    ["1.5/minute", ""],
    ["10/minute per cat", 'no "cat"; there are key, user'],
    ["10/minute per usr", 'no "usr"; did you mean "user"?'],
    ["10/minute burst 11", "a burst of 11 is more than the 10"],
    ["5 in flight burst 2", ""],
    ["1e9/minute", ""],
  ])("is not %j: %s", (text, wrong) => {
    expect(parseLimit(text)).toEqual(expect.stringContaining(wrong));
  });

  it("may be an object", () => {
    const limits = [{ requests: 600, window: "minute", burst: 100 }, { tokens: 50_000, window: "hour", per: "user" }, { inFlight: 8 }];
    const shown = RateLimitOptions.parse({ limits }).limits.map(showLimit);
    expect(shown).toEqual(["600 requests/minute per key", "50,000 tokens/hour per user", "8 in flight per key"]);
  });

  it("tells what is wrong with it at the start", () => {
    const start = () => resolveConfig({ providers: [simulator()], plugins: [rateLimit({ limits: ["10/minute per usr"] })] });
    expect(start).toThrow(/plugins\[0\] \(rate-limit\)\.options\.limits\[0\][\s\S]*a limit such as[\s\S]*did you mean "user"/);
    const object = () =>
      resolveConfig({ providers: [simulator()], plugins: [rateLimit({ limits: [{ requests: 5, window: "minut" as "minute" }] })] });
    expect(object).toThrow(/limits\[0\]\.window[\s\S]*did you mean "minute"/);
  });
});

describe("limits that count the same", () => {
  it("are one, the stricter", () => {
    const limits = RateLimitOptions.parse({
      limits: ["10/minute per user", "5 requests/minute per user", "7/minute per user burst 3"],
    }).limits;
    expect(merged(limits)).toEqual([{ unit: "requests", amount: 5, windowMs: 60_000, per: "user", burst: 3 }]);
  });
});

describe("a duration as OpenAI writes it", () => {
  it.each([
    [0, "0ms"],
    [6, "6ms"],
    [1_000, "1s"],
    [90_000, "1m30s"],
    [360_000, "6m0s"],
    [7_200_000, "2h0m0s"],
  ])("%d", (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});
