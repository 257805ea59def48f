import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCondition } from "./conditions.ts";
import { HealthWindow } from "./health-window.ts";

describe("a condition", () => {
  it.each([
    ["error_rate > 0.05", { metric: "error_rate", limit: 0.05, windowMs: 300_000 }],
    ["error_rate>0", { metric: "error_rate", limit: 0, windowMs: 300_000 }],
    ["  p95_ms   > 5000 over 10 minutes ", { metric: "p95_ms", limit: 5_000, windowMs: 600_000 }],
    ["spend_per_hour > 10", { metric: "spend_per_hour", limit: 10, windowMs: 3_600_000 }],
    ["spend_per_hour > 0.5 over 1 minute", { metric: "spend_per_hour", limit: 0.5, windowMs: 60_000 }],
    ["breaker_open", { metric: "breaker_open" }],
  ])("reads %j", (text, expected) => {
    expect(parseCondition(text)).toEqual({ text, ...expected });
  });

  it.each([
    ["eror_rate > 0.05", 'there is no "eror_rate"; did you mean "error_rate"?'],
    ["cpu > 1", 'there is no "cpu"; there are error_rate, p95_ms, spend_per_hour, breaker_open'],
    ["", 'there is no ""; there are error_rate, p95_ms, spend_per_hour, breaker_open'],
    ["error_rate < 0.05", 'after error_rate comes ">"; write it like "error_rate > 0.05 over 5 minutes"'],
    ["error_rate >= 0.05", 'after ">" comes a number; write it like "error_rate > 0.05 over 5 minutes"'],
    ["error_rate > 5%", 'after ">" comes a number; write it like "error_rate > 0.05 over 5 minutes"'],
    ["error_rate > 5", "error_rate is a share from 0 to 1, so 5 % is 0.05"],
    ["p95_ms > 1e3", 'after ">" comes a number; write it like "error_rate > 0.05 over 5 minutes"'],
    ["p95_ms > 5 ovr 5 minutes", '"ovr" is not understood; did you mean "over"?'],
    ["p95_ms > 5 over 5 minuts", 'the time is in minutes; did you mean "minute"?'],
    ["p95_ms > 5 over 61 minutes", "the time is 1 to 60 minutes"],
    ["p95_ms > 5 over 0 minutes", "the time is 1 to 60 minutes"],
    ["p95_ms > 5 over 5 minutes please", '"please" is too much; write it like "error_rate > 0.05 over 5 minutes"'],
    ["breaker_open > 1", "breaker_open stands alone"],
  ])("refuses %j and says why", (text, expected) => {
    expect(parseCondition(text)).toBe(expected);
  });

  it("is read or refused whatever the text, and what is read says the same when written out", () => {
    const metric = fc.constantFrom("error_rate", "p95_ms", "spend_per_hour", "breaker_open", "x");
    const number = fc.oneof(fc.integer().map(String), fc.double().map(String), fc.string());
    const over = fc.constantFrom("", "over 5 minutes", "over 1 minute", "over");
    const shaped = fc.tuple(metric, fc.constantFrom(">", "<", ""), number, over).map((parts) => parts.join(" "));
    fc.assert(
      fc.property(fc.oneof(fc.string(), shaped), (text) => {
        const parsed = parseCondition(text);
        if (typeof parsed === "string" || parsed.metric === "breaker_open") return;
        const { metric, limit, windowMs } = parsed;
        const written = `${metric} > ${limit.toLocaleString("en-US", { useGrouping: false, maximumFractionDigits: 100 })} over ${windowMs / 60_000} minutes`;
        expect(parseCondition(written)).toEqual({ ...parsed, text: written });
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("the window over the last calls", () => {
  const sample = fc.record({
    after: fc.integer({ min: 0, max: 400_000 }),
    failed: fc.constantFrom(true, false, null),
    latencyMs: fc.option(fc.double({ min: 0, max: 800_000, noNaN: true })),
    cost: fc.integer({ min: 0, max: 1_000_000_000 }),
  });

  it("holds what a list of all calls would say, to a quarter minute and a tenth of a latency", () => {
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 60 }), fc.integer({ min: 1, max: 60 }), (samples, minutes) => {
        const window = new HealthWindow(3_600_000);
        let now = 0;
        const all = samples.map(({ after, ...one }) => {
          now += after;
          window.add(now, one);
          return { at: Math.floor(now / 15_000), ...one };
        });
        const last = Math.floor(now / 15_000);
        const recent = all.filter(({ at }) => at > last - minutes * 4);
        const totals = window.over(now, minutes * 60_000);
        expect(totals.calls).toBe(recent.filter(({ failed }) => failed !== null).length);
        expect(totals.failed).toBe(recent.filter(({ failed }) => failed).length);
        expect(totals.cost).toBe(recent.reduce((sum, { cost }) => sum + cost, 0));
        const latencies = recent.flatMap(({ latencyMs }) => latencyMs ?? []).toSorted((a, b) => a - b);
        expect(totals.latencies).toBe(latencies.length);
        if (latencies.length === 0) return;
        const exact = latencies[Math.ceil(latencies.length * 0.95) - 1] as number;
        expect(totals.percentile(0.95)).toBeGreaterThanOrEqual(Math.floor(exact));
        expect(totals.percentile(0.95)).toBeLessThanOrEqual(Math.max(1, exact * 1.1) + 1);
      }),
    );
  });
});
