import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Measurement, Metrics } from "./metrics.ts";
import { createMetrics } from "./metrics-registry.ts";

function points(metrics: Metrics, name: string): Measurement["points"] {
  return [...metrics.collect()].find((measurement) => measurement.name === name)?.points ?? [];
}

describe("the metrics registry", () => {
  it("adds up a counter per label set, and ignores what would make it shrink or rot", () => {
    const metrics = createMetrics();
    const calls = metrics.counter("calls", { help: "Calls.", labels: ["model", "status"] });
    calls.add(1, { model: "a", status: "200" });
    calls.add(2, { status: "200", model: "a", ignored: "x" });
    calls.add(1, { model: "b" });
    for (const amount of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY]) calls.add(amount, { model: "a", status: "200" });
    expect(points(metrics, "calls")).toEqual([
      { labels: { model: "a", status: "200" }, value: 3 },
      { labels: { model: "b", status: "" }, value: 1 },
    ]);
  });

  it("keeps integers exact and divides when read", () => {
    const metrics = createMetrics();
    const cost = metrics.counter("cost", { help: "Cost.", divisor: 1e9 });
    for (let i = 0; i < 10; i++) cost.add(100_000_000);
    expect(points(metrics, "cost")).toEqual([{ labels: {}, value: 1 }]);
  });

  it("puts a value into the bucket whose bound it does not exceed", () => {
    const metrics = createMetrics();
    const seconds = metrics.histogram("seconds", { help: "Time.", buckets: [1, 2] });
    for (const value of [0.5, 1, 1.5, 3, Number.NaN]) seconds.record(value);
    expect(points(metrics, "seconds")).toEqual([{ labels: {}, counts: [2, 1, 1], sum: 6, count: 4 }]);
  });

  it("counts up and down", () => {
    const metrics = createMetrics();
    const flying = metrics.upDownCounter("flying", { help: "In flight." });
    flying.add(1);
    flying.add(1);
    flying.add(-1);
    expect([...metrics.collect()]).toMatchObject([{ name: "flying", kind: "gauge", points: [{ value: 1 }] }]);
  });

  it("reads a gauge from its newest owner, until that owner takes it away", () => {
    const metrics = createMetrics();
    const removeOld = metrics.gauge("size", { help: "Size." }, () => 1);
    const removeNew = metrics.gauge("size", { help: "Size." }, () => 2);
    removeOld();
    expect(points(metrics, "size")).toEqual([{ labels: {}, value: 2 }]);
    removeNew();
    expect([...metrics.collect()]).toEqual([]);
  });

  it("shows NaN for a gauge that throws, and everything else as ever", () => {
    const metrics = createMetrics();
    metrics.gauge("bad", { help: "Bad." }, () => {
      throw new Error("gone");
    });
    metrics.counter("good", { help: "Good." }).add(1);
    expect([...metrics.collect()].map(({ points: [point] }) => point && "value" in point && point.value)).toEqual([Number.NaN, 1]);
  });

  it("answers the same instrument for the same name and shape, and throws for another shape", () => {
    const metrics = createMetrics();
    const options = { help: "Calls.", labels: ["model"] };
    expect(metrics.counter("calls", options)).toBe(metrics.counter("calls", { ...options }));
    expect(() => metrics.counter("calls", { help: "Calls.", labels: ["provider"] })).toThrow(
      /"calls" is already registered as counter\(model\)/,
    );
    expect(() => metrics.upDownCounter("calls", options)).toThrow();
    metrics.histogram("seconds", { help: "Time.", buckets: [1] });
    expect(() => metrics.histogram("seconds", { help: "Time.", buckets: [1, 2] })).toThrow();
  });

  it("folds what exceeds its limit into one series of `other`, whatever the values are, and loses no count", () => {
    const value = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "toString", "other", ""));
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { maxLength: 60 }), (pairs) => {
        const metrics = createMetrics();
        const calls = metrics.counter("calls", { help: "Calls.", labels: ["a", "b"], limit: 5 });
        for (const [a, b] of pairs) calls.add(1, { a, b });
        const read = points(metrics, "calls") as { labels: Record<string, string>; value: number }[];
        expect(read.length).toBeLessThanOrEqual(6);
        expect(read.reduce((sum, point) => sum + point.value, 0)).toBe(pairs.length);
        for (const [a, b] of pairs.slice(0, 5)) expect(read.some(({ labels }) => labels.a === a && labels.b === b)).toBe(true);
      }),
    );
  });
});
