import { gate, ScriptedUpstream, silence } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { JANUARY, quiet, quota, useAlerts } from "../../test/support/alerts-rig.ts";

const bench = useAlerts();

describe("a channel", () => {
  it("that is down is tried again with growing pauses, and gets each alert once when it is up", async () => {
    const rig = await bench.start();
    bench.hook.always({ status: 503 });
    rig.emit("quota.used", quota(80));
    await bench.hook.call(0);
    const before = rig.clock.now().getTime();
    await rig.until(() => expect(bench.hook.calls.length).toBeGreaterThanOrEqual(6));
    expect(rig.clock.now().getTime() - before).toBeGreaterThan((5 + 10 + 20 + 40 + 80) * 1_000);
    bench.hook.always({ status: 200 });
    const tries = bench.hook.calls.length;
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { channel: "webhook:ops", outcome: "sent" })).toBe(1));
    await rig.clock.advance(3_600_000);
    expect(bench.hook.calls).toHaveLength(tries + 1);
    expect(new Set(bench.told().map(({ id }) => id)).size).toBe(1);
    expect(JSON.stringify(rig.logger.lines)).not.toMatch(/secret-path|s3cret|127\.0\.0\.1/);
  });

  it("that is down is tried with one message at a time, not with all that wait", async () => {
    const rig = await bench.start();
    bench.hook.always({ status: 500 });
    for (let user = 0; user < 20; user++) rig.emit("quota.used", quota(80, { subject: `usr_${user}` }));
    await bench.hook.call(0);
    await quiet(rig);
    expect(bench.hook.calls).toHaveLength(1);
    bench.hook.always({ status: 200 });
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "sent" })).toBe(20));
  });

  it("that never answers is given up on after ten seconds, and holds up no other", async () => {
    const slow = (await ScriptedUpstream.start()).always(silence());
    const webhooks = [
      { name: "slow", url: slow.url, secret: "s" },
      { name: "ops", url: bench.hook.url, secret: "s" },
    ];
    const rig = await bench.start({ webhooks });
    rig.emit("quota.used", quota(80));
    await slow.call(0);
    await bench.hook.call(0);
    rig.emit("quota.used", quota(95));
    await bench.hook.call(1);
    expect(slow.calls).toHaveLength(1);
    await rig.clock.advance(10_000);
    expect(rig.counted("headgate_alert_deliveries_total", { channel: "webhook:slow", outcome: "failed" })).toBe(1);
    expect(rig.logger.lines.at(-1)?.fields).toMatchObject({ channel: "webhook:slow", reason: "no answer within 10 s" });
    await slow.close();
  });

  it("gets an alert once, also when the database goes away while it is being sent", async () => {
    const rig = await bench.start();
    const sending = gate();
    bench.hook.next({ status: 200, wait: sending });
    rig.emit("quota.used", quota(80));
    await bench.hook.call(0);
    bench.db.away = true;
    sending.open();
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "sent" })).toBe(1), 1);
    await rig.clock.advance(50_000);
    bench.db.away = false;
    await rig.clock.advance(200_000);
    expect(bench.hook.calls).toHaveLength(1);
    expect((await rig.route("GET /api/alerts")).body).toMatchObject({ data: [{ deliveries: [{ state: "sent" }] }] });
  });

  it("that does not answer keeps nobody from stopping", async () => {
    const rig = await bench.start();
    bench.hook.next(silence());
    rig.emit("quota.used", quota(80));
    await bench.hook.call(0);
    const before = rig.clock.now().getTime();
    await rig.clock.runUntil(Promise.resolve(rig.hooks.stop?.()));
    expect(rig.clock.now().getTime() - before).toBeLessThanOrEqual(5_000);
  });

  it("that refuses one message is given the next at once", async () => {
    const rig = await bench.start();
    bench.hook.next({ status: 404 });
    rig.emit("quota.used", quota(80));
    rig.emit("quota.used", quota(80, { subject: "usr_bob" }));
    await bench.hook.call(1);
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "sent" })).toBe(2));
  });

  it("gets what could not be delivered for 24 hours no more, and the log says so", async () => {
    const rig = await bench.start();
    bench.hook.always({ status: 503 });
    rig.emit("quota.used", quota(80));
    await bench.hook.call(0);
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "given_up" })).toBe(1), 300_000);
    expect(rig.clock.now().getTime() - JANUARY).toBeGreaterThan(23 * 3_600_000);
    expect(rig.logger.lines.filter(({ level }) => level === "error").map(({ message }) => message)).toEqual([
      "an alert could not be delivered and is given up",
    ]);
    const tries = bench.hook.calls.length;
    bench.hook.always({ status: 200 });
    await rig.clock.advance(7_200_000);
    expect(bench.hook.calls).toHaveLength(tries);
  });

  it("that is not told of a topic hears nothing of it", async () => {
    const rig = await bench.start({ webhooks: [{ name: "ops", url: bench.hook.url, secret: "s", about: ["health"] }] });
    rig.emit("quota.used", quota(80));
    await quiet(rig);
    expect(bench.hook.calls).toEqual([]);
    const { body } = await rig.route("GET /api/alerts");
    expect(body).toMatchObject({ data: [{ kind: "threshold", deliveries: [] }], next_cursor: null });
  });
});

describe("several instances", () => {
  it("tell an alert once between them", async () => {
    const rigs = await Promise.all([bench.start(), bench.start(), bench.start()]);
    for (const percent of [80, 85, 95, 97]) {
      for (const rig of rigs) rig.emit("quota.used", quota(percent));
      for (const rig of rigs) await quiet(rig);
    }
    expect(bench.told().map(({ summary }) => summary)).toEqual([
      "80% of the monthly quota used: usr_ann",
      "95% of the monthly quota used: usr_ann",
    ]);
  });

  it("take over what one left behind when it died in the middle of a try", async () => {
    const first = await bench.start();
    bench.hook.next(silence());
    first.emit("quota.used", quota(80));
    await bench.hook.call(0);
    // Its clock stands still from here on, as if it had been killed.
    const second = await bench.start();
    await second.clock.advance(50_000);
    expect(bench.hook.calls).toHaveLength(1);
    await second.until(() => expect(bench.hook.calls).toHaveLength(2));
    expect(new Set(bench.told().map(({ id }) => id)).size).toBe(1);
  });
});
