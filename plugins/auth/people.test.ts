import { describe, expect, it } from "vitest";
import { AuthRig, onDatabases } from "../../test/support/auth-rig.ts";

onDatabases((open) => {
  describe("an application that speaks for many", () => {
    it("names its end users, who are created on first sight and then have their own plan and status", async () => {
      const rig = new AuthRig(await open());
      const app = await rig.key({ trusted: true });
      const as = (email: string) => rig.call({ "x-api-key": app.key, "x-user-email": email, "x-user-name": "Alice" });
      const { caller } = await as("alice@example.com");
      expect(caller).toMatchObject({
        user: expect.stringMatching(/^usr_/),
        key: app.id,
        plan: "trial",
        role: "user",
        name: "alice@example.com",
      });
      expect((await as("ALICE@example.com")).caller?.user).toBe(caller?.user);
      expect((await as("bob@example.com")).caller?.user).not.toBe(caller?.user);
      await rig.api("PATCH", `/api/users/${caller?.user}`, { body: { plan: "pro", team: "research" } });
      expect((await as("alice@example.com")).caller).toMatchObject({ plan: "pro", team: "research" });
      await rig.api("POST", `/api/users/${caller?.user}/block`, { body: { reason: "abuse" } });
      expect((await as("alice@example.com")).error).toMatchObject({
        code: "account_suspended",
        message: "This account is blocked: abuse.",
      });
      expect((await as("bob@example.com")).error).toBeUndefined();
    });

    it("without a user, or with a placeholder left unfilled, calls as itself", async () => {
      const rig = new AuthRig(await open());
      const app = await rig.key({ trusted: true });
      for (const headers of [new Map(), new Map([["x-user-email", "{{LIBRECHAT_USER_EMAIL}}"]])]) {
        expect((await rig.call({ "x-api-key": app.key, ...Object.fromEntries(headers) })).caller).toMatchObject({
          user: null,
          key: app.id,
        });
      }
    });

    it("may name them in the request's own field, and never gets more than its own role by it", async () => {
      const rig = new AuthRig(await open());
      const boss = await rig.user({ email: "boss@example.com", role: "admin" });
      const app = await rig.key({ trusted: true });
      const { caller } = await rig.call({ "x-api-key": app.key }, { request: { user: "boss@example.com" } });
      expect(caller).toMatchObject({ user: boss.id, role: "user" });
    });

    it("is not believed without being marked as trusted, which is counted", async () => {
      const rig = new AuthRig(await open());
      const { id, key } = await rig.key();
      const { caller } = await rig.call(
        { "x-api-key": key, "x-user-email": "boss@example.com" },
        { request: { user: "boss@example.com" } },
      );
      expect(caller).toMatchObject({ user: null, key: id });
      const counted = [...rig.metrics.collect()].find(({ name }) => name === "headgate_auth_forwarded_ignored_total");
      expect(counted).toMatchObject({ points: [{ value: 1 }] });
    });

    it("brings a bounded number of new users a minute", async () => {
      const rig = new AuthRig(await open());
      const app = await rig.key({ trusted: true });
      const as = (name: string) => rig.call({ "x-api-key": app.key, "x-user-id": name });
      for (let at = 0; at < 60; at++) expect((await as(`user ${at}`)).error).toBeUndefined();
      expect((await as("one too many")).error).toMatchObject({ code: "rate_limited", retryAfter: 60 });
      expect((await as("user 1")).error).toBeUndefined();
      await rig.clock.advance(60_000);
      expect((await as("one too many")).error).toBeUndefined();
    });

    it("is created once when many instances meet a user at the same time", async () => {
      const db = await open();
      const rigs = Array.from({ length: 4 }, () => new AuthRig(db));
      const app = await (rigs[0] as AuthRig).key({ trusted: true });
      const calls = rigs.flatMap((rig) =>
        Array.from({ length: 5 }, () => rig.call({ "x-api-key": app.key, "x-user-email": "alice@example.com" })),
      );
      expect(new Set((await Promise.all(calls)).map(({ caller }) => caller?.user)).size).toBe(1);
    });

    it("meets nobody new where the config says so", async () => {
      const rig = new AuthRig(await open(), { createUsers: false });
      const app = await rig.key({ trusted: true });
      const { id } = await rig.user({ email: "alice@example.com" });
      expect((await rig.call({ "x-api-key": app.key, "x-user-email": "alice@example.com" })).caller?.user).toBe(id);
      expect((await rig.call({ "x-api-key": app.key, "x-user-email": "bob@example.com" })).error?.code).toBe("permission_denied");
    });
  });
});
