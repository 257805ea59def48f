import { describe, expect, it } from "vitest";
import { AuthRig, onDatabases } from "../../test/support/auth-rig.ts";

const DAY = 86_400_000;

onDatabases((open) => {
  describe("rotation", () => {
    it("gives a successor with the same rights, and lets the old key work for a week more", async () => {
      const rig = new AuthRig(await open());
      const old = await rig.key({ models: ["openai/*"], ips: ["203.0.113.0/24"], role: "viewer", trusted: true });
      const next = await rig.api("POST", `/api/keys/${old.id}/rotate`);
      expect(next).toMatchObject({ models: ["openai/*"], ips: ["203.0.113.0/24"], role: "viewer", trusted: true, rotated_from: old.id });
      const targets = [{ provider: "openai", model: "gpt-5" }];
      await rig.clock.advance(7 * DAY - 1);
      expect([await rig.outcome(old.key, { targets }), await rig.outcome(next.key, { targets })]).toEqual(["ok", "ok"]);
      await rig.clock.advance(1);
      expect([await rig.outcome(old.key, { targets }), await rig.outcome(next.key, { targets })]).toEqual(["invalid_api_key", "ok"]);
      expect(await rig.api("GET", `/api/keys/${old.id}`)).toMatchObject({ active: false, replaced_by: next.id });
    });

    it("ends the old key at once where its overlap is 0, and happens once for each key", async () => {
      const rig = new AuthRig(await open());
      const old = await rig.key();
      expect(await rig.outcome(old.key)).toBe("ok");
      await rig.api("POST", `/api/keys/${old.id}/rotate`, { body: { overlap_days: 0 } });
      expect(await rig.outcome(old.key)).toBe("invalid_api_key");
      await expect(rig.api("POST", `/api/keys/${old.id}/rotate`)).rejects.toMatchObject({ code: "conflict" });
    });

    it("is told when due, daily and by one instance; the key works on for a week, saying when it will stop, and then stops", async () => {
      const db = await open();
      const rigs = [new AuthRig(db), new AuthRig(db)];
      const told: unknown[] = [];
      for (const rig of rigs) {
        rig.events.on("auth.rotation_due", (event) => told.push(event));
        await rig.hooks.start?.();
      }
      const [rig] = rigs as [AuthRig, AuthRig];
      const pass = async (ms: number) => {
        for (const each of rigs) await each.clock.advance(ms);
        // What was set off asks a real database.
        await new Promise((resolve) => setTimeout(resolve, 50));
      };
      const { id, key } = await rig.key();
      const forever = await rig.key({ rotate_every_days: 0 });
      await pass(90 * DAY - 3_600_001);
      expect((await rig.call({ "x-api-key": key })).exchange.headers.get("x-headgate-key-stops")).toBeUndefined();
      expect(told).toEqual([]);
      await pass(3_600_001);
      const stopsAt = Date.parse("2026-01-01T00:00:00Z") + 97 * DAY;
      expect(told).toEqual([expect.objectContaining({ key: id, name: "test", dueAt: stopsAt - 7 * DAY, stopsAt })]);
      expect(await rig.api("GET", `/api/keys/${id}`)).toMatchObject({
        rotation_due: true,
        active: true,
        stops_at: "2026-04-08T00:00:00.000Z",
      });
      expect((await rig.call({ "x-api-key": key })).exchange.headers.get("x-headgate-key-stops")).toBe("2026-04-08T00:00:00.000Z");
      await pass(7 * DAY - 1);
      expect(await rig.outcome(key)).toBe("ok");
      expect(told.length).toBeGreaterThan(1);
      expect(told.length).toBeLessThanOrEqual(8);
      await pass(1);
      expect((await rig.call({ "x-api-key": key })).error?.message).toMatch(/was not rotated in time/);
      expect(await rig.outcome(forever.key)).toBe("ok");
      for (const each of rigs) await each.hooks.stop?.();
    });

    it("is off altogether where the config says so", async () => {
      const db = await open();
      const { key } = await new AuthRig(db).key();
      const rig = new AuthRig(db, { rotateEveryDays: 0 });
      await rig.clock.advance(1_000 * DAY);
      expect(await rig.outcome(key)).toBe("ok");
    });
  });
});
