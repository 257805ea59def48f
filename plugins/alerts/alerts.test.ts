import { bind, Catalogue } from "headgate";
import { describePlugin } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { catalogue, FEBRUARY, JANUARY, MARCH, quiet, quota, useAlerts } from "../../test/support/alerts-rig.ts";
import { alerts } from "./index.ts";

describePlugin("alerts", alerts, { services: () => [bind(Catalogue, catalogue)] });

const bench = useAlerts();

describe("usage", () => {
  it("is told at 80 % and at 95 %, each once in a window", async () => {
    const rig = await bench.start();
    for (const percent of [10, 79.9, 80, 81, 94]) rig.emit("quota.used", quota(percent));
    await bench.hook.call(0);
    for (const percent of [94.5, 95, 99, 100]) rig.emit("quota.used", quota(percent));
    await bench.hook.call(1);
    await quiet(rig);
    expect(bench.told().map(({ type, summary }) => [type, summary])).toEqual([
      ["usage.threshold", "80% of the monthly quota used: usr_ann"],
      ["usage.threshold", "95% of the monthly quota used: usr_ann"],
    ]);
    rig.emit("quota.used", quota(80, { windowStart: FEBRUARY, windowEnd: MARCH }));
    await bench.hook.call(2);
    expect(bench.told()[2]?.facts).toMatchObject({
      used: "800 tokens",
      limit: "1,000 tokens",
      remaining: "200 tokens",
      resets: "2026-03-01 00:00 UTC",
    });
  });

  it("that passes several thresholds at once is told of the highest, and of no lower one later", async () => {
    const rig = await bench.start();
    rig.emit("quota.used", quota(97));
    await bench.hook.call(0);
    const other = await bench.start();
    other.emit("quota.used", quota(85, { limit: 1_200 }));
    await quiet(other);
    expect(bench.told()).toHaveLength(1);
  });

  it("is told apart by rule, subject, unit and window, and money is in dollars", async () => {
    const rig = await bench.start();
    rig.emit("quota.used", quota(80));
    rig.emit("quota.used", quota(80, { rule: "daily" }));
    rig.emit("quota.used", quota(80, { subject: "team_a", user: null }));
    rig.emit("quota.used", quota(80, { window: "day", windowEnd: JANUARY + 86_400_000 }));
    rig.emit("quota.used", quota(80, { unit: "money", used: 8_000_000_000, limit: 10_000_000_000 }));
    await bench.hook.call(4);
    expect(bench.told()[4]?.facts).toMatchObject({ used: "$8.00", limit: "$10.00" });
  });

  it("that is refused is told once in a window", async () => {
    const rig = await bench.start();
    const blocked = { ...quota(100), need: 50 };
    for (let turn = 0; turn < 3; turn++) rig.emit("quota.blocked", blocked);
    await bench.hook.call(0);
    rig.emit("quota.blocked", { ...blocked, windowStart: FEBRUARY, windowEnd: MARCH });
    await bench.hook.call(1);
    await quiet(rig);
    expect(bench.told().map(({ type }) => type)).toEqual(["usage.blocked", "usage.blocked"]);
  });

  it("that starts anew is told to those who were warned, once, and not to the others", async () => {
    const rig = await bench.start();
    rig.emit("quota.reset", quota(0, { windowStart: FEBRUARY }));
    rig.emit("quota.used", quota(80, { subject: "usr_bob", user: "usr_bob" }));
    await bench.hook.call(0);
    await rig.clock.advance(1_000);
    rig.emit("quota.reset", quota(0, { subject: "usr_bob", user: "usr_bob", windowStart: FEBRUARY }));
    await bench.hook.call(1);
    await rig.clock.advance(1_000);
    rig.emit("quota.reset", quota(0, { subject: "usr_bob", user: "usr_bob", windowStart: MARCH }));
    await quiet(rig);
    expect(bench.told().map(({ summary }) => summary)).toEqual([
      "80% of the monthly quota used: usr_bob",
      "Quota available again: usr_bob",
    ]);
  });

  it("that starts anew is told at that moment, also to those who do not ask again, and once", async () => {
    const rig = await bench.start();
    await rig.clock.advance(JANUARY + 86_400_000 - 120_000 - rig.clock.now().getTime());
    const day = { window: "day", windowEnd: JANUARY + 86_400_000 };
    rig.emit("quota.used", quota(80, day));
    await bench.hook.call(0);
    rig.emit("quota.used", quota(95, day));
    await bench.hook.call(1);
    rig.emit("quota.used", quota(80, { subject: "usr_bob", user: "usr_bob" }));
    await bench.hook.call(2);
    rig.emit("quota.used", quota(99, { subject: "usr_late", windowEnd: JANUARY }));
    await rig.until(() => expect(bench.hook.calls).toHaveLength(4));
    expect(bench.told()[3]).toMatchObject({ type: "usage.reset", summary: "Quota available again: usr_ann" });
    const late = rig.clock.now().getTime() - (JANUARY + 86_400_000);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(75_000);
    rig.emit("quota.reset", quota(0, { window: "day", windowStart: JANUARY + 86_400_000, windowEnd: JANUARY + 2 * 86_400_000 }));
    await rig.clock.advance(300_000);
    await quiet(rig);
    expect(bench.hook.calls).toHaveLength(4);
  });

  it("follows a user's own thresholds, as soon as they are set", async () => {
    const rig = await bench.start();
    const params = { id: "usr_ann" };
    const set = (thresholds: number[] | null) => rig.route("PUT /api/users/:id/alert-thresholds", { params, body: { thresholds } });
    rig.emit("quota.used", quota(50));
    expect((await set([50])).body).toEqual({ thresholds: [50], own: true });
    rig.emit("quota.used", quota(51));
    await bench.hook.call(0);
    await set([]);
    rig.emit("quota.used", quota(99));
    await quiet(rig);
    expect(bench.told()).toHaveLength(1);
    expect((await set(null)).body).toEqual({ thresholds: [80, 95], own: false });
    rig.emit("quota.used", quota(99));
    await bench.hook.call(1);
    await expect(set([101])).rejects.toThrow();
  });

  it("is told as the config says", async () => {
    const rig = await bench.start({ usage: { thresholds: [50], blocked: false, reset: false } });
    rig.emit("quota.used", quota(60));
    rig.emit("quota.blocked", { ...quota(100), need: 1 });
    rig.emit("quota.reset", quota(0, { windowStart: FEBRUARY }));
    await bench.hook.call(0);
    await quiet(rig);
    expect(bench.told()).toHaveLength(1);
  });

  it("waits in memory while the database is away, and is told when it is back", async () => {
    const rig = await bench.start();
    bench.db.away = true;
    rig.emit("quota.used", quota(80));
    for (let account = 0; account < 50; account++) rig.emit("quota.used", quota(80, { subject: `usr_${account}` }));
    rig.emit("quota.used", quota(96));
    await rig.clock.advance(60_000);
    expect(bench.told()).toEqual([]);
    expect(rig.logger.lines.filter(({ message }) => message === "alerts wait for the database")).toHaveLength(1);
    bench.db.away = false;
    await rig.until(() => expect(bench.told()).toHaveLength(51));
    expect(bench.told().filter(({ summary }) => summary.includes("95%"))).toHaveLength(1);
    expect(rig.counted("headgate_alerts_total", { kind: "threshold" })).toBe(51);
  });

  it("that cannot be kept any more is dropped and counted", async () => {
    const rig = await bench.start();
    bench.db.away = true;
    for (let account = 0; account < 10_005; account++) rig.emit("quota.used", quota(80, { subject: `usr_${account}` }));
    expect(rig.counted("headgate_alerts_dropped_total")).toBeGreaterThanOrEqual(4);
    bench.db.away = false;
  });
});
