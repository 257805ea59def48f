import { describe, expect, it } from "vitest";
import { quota, useAlerts } from "../../test/support/alerts-rig.ts";
import { freePort } from "../../test/support/redis.ts";

const bench = useAlerts();

describe("the API", () => {
  it("pages through what was told, newest first, and shows a user only the own", async () => {
    const rig = await bench.start();
    for (let user = 0; user < 5; user++) {
      rig.emit("quota.used", quota(80, { subject: `usr_${user}`, user: `usr_${user}` }));
      await bench.hook.call(user);
      await rig.clock.advance(1_000);
    }
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: Record<string, string> = { limit: "2", ...(cursor ? { cursor } : {}) };
      const page = (await rig.route("GET /api/alerts", { query })).body as unknown as {
        data: { subject: string }[];
        next_cursor: string | null;
      };
      seen.push(...page.data.map(({ subject }) => subject));
      cursor = page.next_cursor;
    } while (cursor);
    expect(seen).toEqual(["usr_4", "usr_3", "usr_2", "usr_1", "usr_0"]);
    const caller = { user: "usr_3", key: null, team: null, plan: "pro", segment: "standard", role: "user", name: "Three" } as const;
    const mine = (await rig.route("GET /api/me/alerts", { caller })).body;
    expect(mine).toMatchObject({ object: "list", data: [{ subject: "usr_3", user_id: "usr_3" }], next_cursor: null });
    await expect(rig.route("GET /api/alerts", { query: { cursor: "bm9uZQ" } })).rejects.toThrow("none of ours");
    const ones = (await rig.route("GET /api/alerts", { query: { user_id: "usr_2" } })).body;
    expect(ones).toMatchObject({ data: [{ subject: "usr_2", deliveries: [{ channel: "webhook:ops", state: "sent", attempts: 1 }] }] });
  });

  it("sends a test through every channel and says how each went", async () => {
    const down = await freePort();
    const rig = await bench.start({
      slack: { url: bench.hook.url },
      webhooks: [{ name: "ops", url: bench.hook.url, secret: "s", about: [] }],
      pagerduty: { routingKey: "k", url: `http://127.0.0.1:${down}` },
      email: { url: "smtp://127.0.0.1:1", from: "a@b.example" },
    });
    expect((await rig.route("POST /api/alerts/test")).body).toEqual({
      channels: [
        { channel: "email", ok: false, error: "there is nobody to send a test to" },
        { channel: "slack", ok: true },
        { channel: "pagerduty", ok: false, error: "unreachable" },
        { channel: "webhook:ops", ok: true },
      ],
    });
    expect(bench.hook.calls).toHaveLength(2);
  });

  it("gives a person what is kept about them, and forgets it", async () => {
    const rig = await bench.start();
    rig.emit("quota.used", quota(80));
    rig.emit("quota.used", quota(80, { subject: "usr_bob", user: "usr_bob" }));
    await bench.hook.call(1);
    await rig.route("PUT /api/users/:id/alert-thresholds", { params: { id: "usr_ann" }, body: { thresholds: [42] } });
    const kept = await rig.hooks.personalData?.export("usr_ann");
    expect(kept).toMatchObject({ alerts: [{ user_id: "usr_ann", kind: "threshold" }], alert_thresholds: [42] });
    expect(JSON.stringify(kept)).not.toContain("usr_bob");
    expect(await rig.hooks.personalData?.erase("usr_ann")).toBe(3);
    expect(await rig.hooks.personalData?.erase("usr_ann")).toBe(0);
    expect(await rig.hooks.personalData?.export("usr_ann")).toEqual({ alerts: [], alert_thresholds: null });
    expect(await rig.hooks.personalData?.export("usr_bob")).toMatchObject({ alerts: [{ user_id: "usr_bob" }] });
  });
});
