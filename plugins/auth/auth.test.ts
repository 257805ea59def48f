import { Directory } from "headgate";
import { describePlugin } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { AuthRig, authBindings, DEVELOPMENT_KEY, onDatabases } from "../../test/support/auth-rig.ts";
import { auth } from "./index.ts";

describePlugin("auth", auth, {
  options: { developmentKey: DEVELOPMENT_KEY },
  services: ({ database }) => authBindings(database),
  exchange: { headers: { authorization: `Bearer ${DEVELOPMENT_KEY}` } },
});

onDatabases((open) => {
  describe("an API key", () => {
    it("lets its caller in, wherever clients put it", async () => {
      const rig = new AuthRig(await open());
      const { id, key } = await rig.key({ role: "viewer" });
      expect(key).toMatch(/^hg_[\w-]{43}$/);
      const places: Record<string, string>[] = [
        { authorization: `Bearer ${key}` },
        { authorization: `bearer ${key}` },
        { "x-api-key": key },
        { "api-key": key },
        { "x-goog-api-key": key },
      ];
      for (const headers of places) {
        const { caller } = await rig.call(headers);
        expect(caller).toEqual({ user: null, key: id, team: null, plan: "trial", segment: "standard", role: "viewer", name: "test" });
      }
    });

    it("of a user calls as that user, with the lower of both roles", async () => {
      const rig = new AuthRig(await open());
      const user = await rig.user({ email: "Alice@Example.com", plan: "pro", team: "research", segment: "vip", role: "viewer" });
      const keys = [await rig.key({ user_id: user.id, role: "admin" }), await rig.key({ user_id: user.id })];
      const base = { user: user.id, plan: "pro", team: "research", segment: "vip", name: "alice@example.com" };
      expect(await rig.who(keys[0].key)).toEqual({ ...base, key: keys[0].id, role: "viewer" });
      expect(await rig.who(keys[1].key)).toEqual({ ...base, key: keys[1].id, role: "user" });
    });

    it("is kept as a hash alone, and shown once", async () => {
      const db = await open();
      const rig = new AuthRig(db);
      const { id, key, last4 } = await rig.key();
      expect(last4).toBe(key.slice(-4));
      const rows = await db.tables<Record<string, object>>().selectFrom("keys").selectAll().execute();
      expect(JSON.stringify(rows)).not.toContain(key.slice(3, 20));
      expect(await rig.api("GET", `/api/keys/${id}`)).not.toHaveProperty("key");
    });

    it("that is missing or wrong is refused, with the headers that are read and at most four characters of it", async () => {
      const rig = new AuthRig(await open());
      const missing = await rig.call({});
      expect(missing.error).toMatchObject({ code: "invalid_api_key", status: 401, headers: { "www-authenticate": "Bearer" } });
      expect(missing.error?.message).toMatch(/"authorization: Bearer …", "x-api-key", "api-key" or "x-goog-api-key"/);
      const wrong = await rig.call({ "x-api-key": `hg_${"secretly".repeat(5)}abc` });
      expect(wrong.error).toMatchObject({ code: "invalid_api_key", message: "The API key …yabc is not known here." });
      expect((await rig.call({ "x-api-key": "hunter2" })).error?.message).toBe("The API key that was sent is not known here.");
      expect((await rig.call({ authorization: "Basic aHVudGVyMg==" })).error?.message).toMatch(/^No API key was sent/);
    });

    it("stops when it expires, to the millisecond, also when it was just used", async () => {
      const rig = new AuthRig(await open());
      const { key, last4 } = await rig.key({ expires_at: new Date(rig.clock.now().getTime() + 90_000).toISOString() });
      expect(await rig.outcome(key)).toBe("ok");
      await rig.clock.advance(89_999);
      expect(await rig.outcome(key)).toBe("ok");
      await rig.clock.advance(1);
      expect((await rig.call({ "x-api-key": key })).error).toMatchObject({
        code: "invalid_api_key",
        message: `The API key …${last4} has expired.`,
      });
    });

    it("that is revoked stops at once, here and on other instances, and for good", async () => {
      const db = await open();
      const [here, there] = [new AuthRig(db), new AuthRig(db)];
      await Promise.all([here.hooks.start?.(), there.hooks.start?.()]);
      const { id, key } = await here.key();
      expect([await here.outcome(key), await there.outcome(key)]).toEqual(["ok", "ok"]);
      await here.api("POST", `/api/keys/${id}/revoke`);
      expect(await here.outcome(key)).toBe("invalid_api_key");
      await expect.poll(() => there.outcome(key), { timeout: 5_000 }).toBe("invalid_api_key");
      const again = await here.api("POST", `/api/keys/${id}/revoke`);
      expect(again).toMatchObject({ active: false, revoked_at: "2026-01-01T00:00:00.000Z" });
      await Promise.all([here.hooks.stop?.(), there.hooks.stop?.()]);
    });

    it("notes when it was used, once a minute and off the way of calls", async () => {
      const rig = new AuthRig(await open());
      await rig.hooks.start?.();
      const { id, key } = await rig.key();
      const used = async () => (await rig.api("GET", `/api/keys/${id}`)).last_used_at;
      for (let at = 0; at < 10; at++) await rig.who(key);
      expect(await used()).toBeNull();
      await rig.clock.advance(60_000);
      await expect.poll(used).toBe("2026-01-01T00:01:00.000Z");
      await rig.clock.advance(60_000);
      expect(await used()).toBe("2026-01-01T00:01:00.000Z");
      await rig.who(key);
      await rig.hooks.stop?.();
      expect(await used()).toBe("2026-01-01T00:02:00.000Z");
    });
  });

  describe("what a key may be used for", () => {
    const targets = [
      { provider: "openai", model: "gpt-5" },
      { provider: "anthropic", model: "claude" },
    ];

    it("models: the call is narrowed to the targets that are allowed, or refused with what is", async () => {
      const rig = new AuthRig(await open());
      const { key } = await rig.key({ models: ["openai/*", "fast"] });
      const call = (parts: object) => rig.call({ "x-api-key": key }, parts);
      expect((await call({ targets })).exchange.targets).toEqual([targets[0]]);
      expect((await call({ targets, request: { model: "fast" } })).exchange.targets).toEqual(targets);
      const refused = await call({ targets: targets.slice(1) });
      expect(refused.error).toMatchObject({ code: "permission_denied", status: 403, param: "model" });
      expect(refused.error?.message).toBe("This key may not use that model; it may use openai/*, fast.");
      expect((await call({ targets: [], request: { model: "no-such-model" } })).error?.code).toBe("permission_denied");
      expect((await call({ targets: [], operation: "models" })).error).toBeUndefined();
    });

    it("routes: operations of the data plane, and the control plane", async () => {
      const rig = new AuthRig(await open());
      const { key } = await rig.key({ routes: ["embeddings"] });
      expect(await rig.outcome(key, { operation: "embeddings" })).toBe("ok");
      for (const operation of ["chat", "models", "count_tokens"] as const)
        expect(await rig.outcome(key, { operation })).toBe("permission_denied");
      await expect(rig.guard.identify({ headers: { "x-api-key": key }, ip: "203.0.113.7" })).rejects.toMatchObject({
        code: "permission_denied",
      });
    });

    it("addresses", async () => {
      const rig = new AuthRig(await open());
      const { key } = await rig.key({ ips: ["203.0.113.0/24"] });
      expect(await rig.outcome(key)).toBe("ok");
      expect(await rig.outcome(key, { ip: "192.0.2.1" })).toBe("permission_denied");
    });

    it("a change holds for the next call", async () => {
      const rig = new AuthRig(await open());
      const { id, key } = await rig.key();
      expect(await rig.outcome(key)).toBe("ok");
      await rig.api("PATCH", `/api/keys/${id}`, { body: { routes: ["models"] } });
      expect(await rig.outcome(key)).toBe("permission_denied");
      await rig.api("PATCH", `/api/keys/${id}`, { body: { routes: null } });
      expect(await rig.outcome(key)).toBe("ok");
    });
  });

  describe("a user's status", () => {
    it("refuses calls with the reason, from the next call on, and lets them in again", async () => {
      const rig = new AuthRig(await open());
      const { id } = await rig.user({ email: "alice@example.com" });
      const { key } = await rig.key({ user_id: id });
      expect(await rig.outcome(key)).toBe("ok");
      await rig.api("POST", `/api/users/${id}/suspend`, { body: { reason: "unpaid bill" } });
      const { error } = await rig.call({ "x-api-key": key });
      expect(error).toMatchObject({ code: "account_suspended", status: 403, message: "This account is suspended: unpaid bill." });
      await rig.api("POST", `/api/users/${id}/block`);
      expect((await rig.call({ "x-api-key": key })).error?.message).toBe("This account is blocked.");
      await rig.api("POST", `/api/users/${id}/activate`);
      expect(await rig.outcome(key)).toBe("ok");
      await rig.api("DELETE", `/api/users/${id}`);
      expect(await rig.outcome(key)).toBe("invalid_api_key");
    });

    it("keeps out whoever waits for approval", async () => {
      const rig = new AuthRig(await open());
      const { id } = await rig.user({ status: "pending" });
      const { key } = await rig.key({ user_id: id });
      expect((await rig.call({ "x-api-key": key })).error).toMatchObject({
        code: "account_suspended",
        message: "This account is waiting for approval.",
      });
    });
  });

  describe("the development key", () => {
    it("is an admin's on this machine, and is announced with a command that carries it", async () => {
      const rig = new AuthRig(await open(), { developmentKey: DEVELOPMENT_KEY });
      await rig.hooks.start?.();
      expect(await rig.who(DEVELOPMENT_KEY, { ip: "127.0.0.1" })).toMatchObject({ role: "admin", key: "key_development" });
      expect(await rig.outcome(DEVELOPMENT_KEY, { ip: "192.0.2.1" })).toBe("permission_denied");
      expect(rig.hooks.announce?.()).toEqual({
        lines: [["development key", `${DEVELOPMENT_KEY}  (from this machine only)`]],
        headers: { authorization: `Bearer ${DEVELOPMENT_KEY}` },
      });
      await rig.hooks.stop?.();
    });

    it("is not there unless asked for; a gateway without any key says how to make the first", async () => {
      const db = await open();
      const first = new AuthRig(db);
      await first.hooks.start?.();
      expect(await first.outcome(DEVELOPMENT_KEY)).toBe("invalid_api_key");
      expect(first.hooks.announce?.()).toEqual({
        lines: [["no API key yet", expect.stringContaining("headgate keys create --role admin --name first")]],
      });
      await first.key();
      const second = new AuthRig(db);
      await second.hooks.start?.();
      expect(second.hooks.announce?.()).toEqual({});
      await Promise.all([first.hooks.stop?.(), second.hooks.stop?.()]);
    });
  });

  it("tells other plugins who a user is", async () => {
    const rig = new AuthRig(await open());
    const { id } = await rig.user({ email: "alice@example.com" });
    const directory = rig.hooks.services?.find(({ token }) => token.name === Directory.name)?.value as Directory;
    expect(await directory.user(id)).toEqual({ email: "alice@example.com", name: "alice@example.com", plan: "trial", role: "user" });
    expect(await directory.user("usr_unknown")).toBeUndefined();
  });
});
