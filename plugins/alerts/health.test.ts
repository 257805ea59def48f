import { describe, expect, it } from "vitest";
import { type AlertsRig, quiet, useAlerts } from "../../test/support/alerts-rig.ts";

const bench = useAlerts();
const summaries = () => bench.told().map(({ summary }) => summary);

async function calls(rig: AlertsRig, bad: number, good: number): Promise<void> {
  for (let call = 0; call < bad; call++) await rig.call({ kind: call % 2 === 0 ? "failed" : "cut", status: 502 });
  for (let call = 0; call < good; call++) await rig.call();
}

/** Lets time pass, a round at a time, and deliveries with it. */
async function pass(rig: AlertsRig, minutes: number): Promise<void> {
  for (let round = 0; round < minutes * 6; round++) {
    await rig.clock.advance(10_000);
    await quiet(rig);
  }
}

describe("the error rate", () => {
  it("fires above its limit, and not before ten calls", async () => {
    const rig = await bench.start({ health: ["error_rate > 0.05"] });
    await calls(rig, 9, 0);
    await pass(rig, 1);
    expect(bench.told()).toEqual([]);
    await calls(rig, 0, 1);
    await rig.until(() => expect(summaries()).toEqual(["Firing: error_rate > 0.05"]));
    expect(bench.told()[0]).toMatchObject({ type: "health.firing", facts: { value: "90.0% of calls failed" } });
  });

  it("says nothing at its limit, and nothing of calls that were refused or left", async () => {
    const rig = await bench.start({ health: ["error_rate > 0.05"] });
    await calls(rig, 1, 19);
    for (let call = 0; call < 50; call++) await rig.call({ kind: call % 2 === 0 ? "refused" : "cancelled", status: 499 });
    await pass(rig, 1);
    expect(bench.told()).toEqual([]);
  });

  it("goes on firing until it is well below its limit, is told once, and then that it is over", async () => {
    const rig = await bench.start({ health: ["error_rate > 0.5"] });
    await calls(rig, 60, 40);
    await pass(rig, 1);
    await calls(rig, 0, 35);
    await pass(rig, 3);
    expect(summaries()).toEqual(["Firing: error_rate > 0.5"]);
    await calls(rig, 0, 1_000);
    await pass(rig, 4);
    expect(summaries()).toEqual(["Firing: error_rate > 0.5", "Resolved: error_rate > 0.5"]);
  });

  it("is told at most once an hour, however often it comes and goes", async () => {
    const rig = await bench.start({ health: ["error_rate > 0.5 over 1 minute"] });
    const firings = () => summaries().filter((summary) => summary.startsWith("Firing"));
    for (let turn = 0; turn < 7; turn++) {
      await calls(rig, 20, 0);
      await pass(rig, 8);
      expect(firings()).toHaveLength(1);
    }
    await pass(rig, 5);
    await calls(rig, 20, 0);
    await pass(rig, 1);
    expect(firings()).toHaveLength(2);
  });

  it("is told once by all instances, and is over when none of them sees it", async () => {
    const rigs = [await bench.start({ health: ["error_rate > 0.5"] }), await bench.start({ health: ["error_rate > 0.5"] })] as const;
    for (const rig of rigs) await calls(rig, 20, 0);
    for (let minute = 0; minute < 3; minute++) for (const rig of rigs) await pass(rig, 1);
    expect(summaries()).toEqual(["Firing: error_rate > 0.5"]);
    await calls(rigs[0], 0, 1_000);
    for (let minute = 0; minute < 2; minute++) for (const rig of rigs) await pass(rig, 1);
    expect(summaries()).toHaveLength(1);
    for (let minute = 0; minute < 12; minute++) for (const rig of rigs) await pass(rig, 1);
    expect(summaries()).toEqual(["Firing: error_rate > 0.5", "Resolved: error_rate > 0.5"]);
  });

  it("that holds while the database is away is told when that is back", async () => {
    const rig = await bench.start({ health: ["error_rate > 0.5"] });
    await calls(rig, 20, 0);
    bench.db.away = true;
    await pass(rig, 1);
    bench.db.away = false;
    await pass(rig, 1);
    expect(summaries()).toEqual(["Firing: error_rate > 0.5"]);
  });
});

describe("latency, spend and breakers", () => {
  it("fire on slow answers", async () => {
    const rig = await bench.start({ health: ["p95_ms > 5000"] });
    for (let call = 0; call < 100; call++) await rig.call({}, { ms: call < 94 ? 100 : 9_000 });
    await rig.until(() => expect(summaries()).toEqual(["Firing: p95_ms > 5000"]));
  });

  it("fire on money spent, calls that their clients left included", async () => {
    const rig = await bench.start({ health: ["spend_per_hour > 10"] });
    const usage = { inputTokens: 4_000, outputTokens: 1_000, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
    await rig.call({}, { usage });
    await rig.call({}, { usage });
    await pass(rig, 1);
    expect(bench.told()).toEqual([]);
    await rig.call({ kind: "cancelled", status: 499 }, { usage });
    await rig.until(() => expect(bench.told()[0]).toMatchObject({ facts: { value: "$15.00 an hour" } }));
  });

  it("fire for each target whose breaker opens, until it closes", async () => {
    const rig = await bench.start();
    rig.emit("breaker.opened", { provider: "openai", model: "gpt-5", reason: "9 of 10 calls failed" });
    rig.emit("breaker.opened", { provider: "openai", model: "gpt-5-mini", reason: "no answer" });
    await pass(rig, 2);
    expect(summaries()).toEqual(["Firing: breaker_open openai/gpt-5", "Firing: breaker_open openai/gpt-5-mini"]);
    rig.emit("breaker.closed", { provider: "openai", model: "gpt-5" });
    await pass(rig, 4);
    expect(summaries().slice(2)).toEqual(["Resolved: breaker_open openai/gpt-5"]);
  });

  it("are not watched unless the config says so", async () => {
    const rig = await bench.start({ health: [] });
    rig.emit("breaker.opened", { provider: "openai", model: "gpt-5", reason: "no answer" });
    await calls(rig, 50, 0);
    await pass(rig, 2);
    expect(bench.told()).toEqual([]);
  });
});
