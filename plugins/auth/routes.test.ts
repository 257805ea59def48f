import { type Caller, type Database, GatewayError, ROLES, type Role } from "headgate";
import { auth } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMIN, AuthRig, type Body, DEVELOPMENT_KEY, onDatabases } from "../../test/support/auth-rig.ts";
import { tableRows } from "../../test/support/pages.ts";
import { injections } from "../../test/support/sql-injections.ts";

const caller = (role: Role, user: string | null = null): Caller => ({ ...ADMIN, role, user, key: `key_of_${role}` });

/** What comes of each, one after the other: `ok` or the code of its refusal. */
async function codesOf(...works: (() => Promise<unknown>)[]): Promise<string[]> {
  const codes: string[] = [];
  for (const work of works) codes.push(await codeOf(work));
  return codes;
}

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "ok";
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error);
  }
}

onDatabases((open) => {
  describe("E7: nobody gets more than they have", () => {
    it("a manager gives out and changes what is not above a manager, and no more", async () => {
      const rig = new AuthRig(await open());
      const manager = caller("manager", "usr_boss");
      const users = Object.fromEntries(await Promise.all(ROLES.map(async (role) => [role, await rig.user({ role })]))) as Record<
        Role,
        Body
      >;
      const keys = Object.fromEntries(await Promise.all(ROLES.map(async (role) => [role, await rig.key({ role })]))) as Record<Role, Body>;
      for (const role of ROLES) {
        const expected = role === "admin" ? "permission_denied" : "ok";
        const all = [
          () => rig.api("POST", "/api/users", { caller: manager, body: { role } }),
          () => rig.api("POST", "/api/keys", { caller: manager, body: { name: "x", role } }),
          () => rig.api("POST", "/api/keys", { caller: manager, body: { name: "x", user_id: users[role].id } }),
          () => rig.api("PATCH", `/api/users/${users.user.id}`, { caller: manager, body: { role } }),
          () => rig.api("PATCH", `/api/keys/${keys.user.id}`, { caller: manager, body: { role } }),
          () => rig.api("PATCH", `/api/users/${users[role].id}`, { caller: manager, body: { plan: "pro" } }),
          () => rig.api("POST", `/api/users/${users[role].id}/suspend`, { caller: manager }),
          () => rig.api("PATCH", `/api/keys/${keys[role].id}`, { caller: manager, body: { name: "y" } }),
          () => rig.api("POST", `/api/keys/${keys[role].id}/rotate`, { caller: manager }),
          () => rig.api("POST", `/api/keys/${keys[role].id}/revoke`, { caller: manager }),
        ];
        expect(await codesOf(...all), role).toEqual(all.map(() => expected));
      }
    });

    it("a key that speaks for anybody is an admin's to make, change and rotate", async () => {
      const rig = new AuthRig(await open());
      const manager = caller("manager");
      const [plain, trusted] = [await rig.key(), await rig.key({ trusted: true })];
      const codes = await codesOf(
        () => rig.api("POST", "/api/keys", { caller: manager, body: { name: "x", trusted: true } }),
        () => rig.api("PATCH", `/api/keys/${plain.id}`, { caller: manager, body: { trusted: true } }),
        () => rig.api("PATCH", `/api/keys/${trusted.id}`, { caller: manager, body: { trusted: false } }),
        () => rig.api("POST", `/api/keys/${trusted.id}/rotate`, { caller: manager }),
        () => rig.api("POST", `/api/keys/${trusted.id}/revoke`, { caller: manager }),
      );
      expect(codes).toEqual(codes.map(() => "permission_denied"));
    });

    it("the key of somebody above is out of reach, whatever role the key itself has", async () => {
      const rig = new AuthRig(await open());
      const boss = await rig.user({ role: "admin" });
      const { id } = await rig.key({ user_id: boss.id });
      for (const action of ["rotate", "revoke"]) {
        expect(await codeOf(() => rig.api("POST", `/api/keys/${id}/${action}`, { caller: caller("manager") }))).toBe("permission_denied");
      }
    });

    it.each(["admin", "manager"] as const)("not even an admin changes their own role or status (%s)", async (role) => {
      const rig = new AuthRig(await open());
      const { id } = await rig.user({ role });
      const key = await rig.key({ role, user_id: id });
      const self = { ...caller(role, id), key: key.id };
      const own = [
        () => rig.api("PATCH", `/api/users/${id}`, { caller: self, body: { role: "user" } }),
        () => rig.api("PATCH", `/api/keys/${key.id}`, { caller: self, body: { role: "user" } }),
        () => rig.api("POST", `/api/users/${id}/activate`, { caller: self }),
        () => rig.api("DELETE", `/api/users/${id}`, { caller: self }),
      ];
      expect(await codesOf(...own)).toEqual(own.map(() => "permission_denied"));
      expect(await rig.api("PATCH", `/api/users/${id}`, { caller: self, body: { name: "Me", role } })).toMatchObject({ name: "Me", role });
    });

    it("everybody sees themselves, without what is noted about them, and nobody else", async () => {
      const rig = new AuthRig(await open());
      const [alice, bob] = [await rig.user({ name: "Alice", notes: "pays late" }), await rig.user({ name: "Bob" })];
      await rig.key({ user_id: bob.id });
      const own = await rig.key({ user_id: alice.id });
      const me = await rig.api("GET", "/api/me", { caller: { ...caller("user", alice.id), key: own.id } });
      expect(me).toMatchObject({ role: "user", user: { id: alice.id, name: "Alice" }, keys: [{ id: own.id }] });
      expect(me.keys).toHaveLength(1);
      expect(JSON.stringify(me)).not.toMatch(/pays late|hg_/);
      const lone = await rig.key();
      expect(await rig.api("GET", "/api/me", { caller: { ...caller("user"), key: lone.id } })).toMatchObject({
        user: null,
        keys: [{ id: lone.id }],
      });
    });

    it("two users never share an address or external id", async () => {
      const rig = new AuthRig(await open());
      await rig.user({ email: "alice@example.com", external_id: "jwt/alice" });
      const bob = await rig.user({ email: "bob@example.com" });
      const tries = [
        () => rig.user({ email: "ALICE@example.com" }),
        () => rig.user({ external_id: "jwt/alice" }),
        () => rig.api("PATCH", `/api/users/${bob.id}`, { body: { email: "Alice@Example.com" } }),
        () => rig.api("PATCH", `/api/users/${bob.id}`, { body: { external_id: "jwt/alice" } }),
      ];
      expect(await codesOf(...tries)).toEqual(tries.map(() => "conflict"));
      expect(await rig.api("PATCH", `/api/users/${bob.id}`, { body: { email: "bob@example.com", team: null } })).toMatchObject({
        team: null,
      });
    });
  });
});

onDatabases((open) => {
  describe("lists", () => {
    const names = (list: Body) => list.data.map(({ name }: Body) => name);

    it("of users are found by any part of what is known of them, in any case, and by their fields", async () => {
      const rig = new AuthRig(await open());
      const made = [
        { name: "Alice Ames", email: "alice@one.example", plan: "pro", team: "red" },
        { name: "Bob", email: "bob@two.example", status: "suspended", team: "red" },
        { name: "100%_sure!", external_id: "jwt/Carol", role: "viewer" },
      ];
      for (const body of made) {
        await rig.user(body);
        await rig.clock.advance(1);
      }
      const find = async (query: Record<string, string>) => names(await rig.api("GET", "/api/users", { query }));
      expect(await find({})).toEqual(["100%_sure!", "Bob", "Alice Ames"]);
      expect(await find({ q: "EXAMPLE" })).toEqual(["Bob", "Alice Ames"]);
      expect(await find({ q: "carol" })).toEqual(["100%_sure!"]);
      expect(await find({ q: "%" })).toEqual(["100%_sure!"]);
      expect(await find({ q: "0%_s" })).toEqual(["100%_sure!"]);
      expect(await find({ q: "!" })).toEqual(["100%_sure!"]);
      expect(await find({ q: "A_es" })).toEqual([]);
      expect(await find({ team: "red", status: "active" })).toEqual(["Alice Ames"]);
      expect(await find({ plan: "pro" })).toEqual(["Alice Ames"]);
      expect(await find({ role: "viewer" })).toEqual(["100%_sure!"]);
    });

    it("are read page by page, nothing twice and nothing left out", async () => {
      const rig = new AuthRig(await open());
      const { id } = await rig.user({ name: "Alice" });
      for (let at = 0; at < 7; at++) await rig.key({ name: `key ${at}`, user_id: at % 2 ? id : null });
      const seen: string[] = [];
      let cursor: string | null = "";
      while (cursor !== null) {
        const list: Body = await rig.api("GET", "/api/keys", { query: { limit: "3", ...(cursor ? { cursor } : {}) } });
        seen.push(...names(list));
        cursor = list.next_cursor;
      }
      expect(seen.toSorted()).toEqual(Array.from({ length: 7 }, (_, at) => `key ${at}`));
      expect(names(await rig.api("GET", "/api/keys", { query: { user_id: id } })).toSorted()).toEqual(["key 1", "key 3", "key 5"]);
    });

    it("E1: SQL in a search, a filter or a cursor is a text like any other", async () => {
      const rig = new AuthRig(await open());
      await rig.user({ name: "Alice" });
      for (const text of injections) {
        expect((await rig.api("GET", "/api/users", { query: { q: text } })).data).toEqual([]);
        expect((await rig.api("GET", "/api/keys", { query: { user_id: text } })).data).toEqual([]);
        await expect(rig.api("GET", "/api/users", { query: { cursor: text } })).rejects.toThrow(/cursor/);
        const place = Buffer.from(JSON.stringify([0, text])).toString("base64url");
        expect((await rig.api("GET", "/api/users", { query: { cursor: place } })).data).toEqual([]);
      }
      expect((await rig.api("GET", "/api/users")).data).toHaveLength(1);
    });
  });
});

it("the README names every route with its role and command, and no other", () => {
  const { hooks } = new AuthRig({} as Database);
  const rows = (hooks.routes ?? []).map(({ method, path, access, command }) => [`\`${method} ${path}\``, access, `\`${command}\``]);
  expect(tableRows("plugins/auth/README.md", "route").map((cells) => cells.slice(0, 3))).toEqual(rows);
});

describe("over HTTP", () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    const plugins = [auth({ developmentKey: DEVELOPMENT_KEY })];
    const config = { providers: [simulator({ speed: 0 })], models: { fast: "simulator/sim-small" }, plugins };
    gateway = await startGateway(config);
  });
  afterAll(() => gateway.stop());

  async function send(method: string, path: string, body?: unknown, key?: string): Promise<{ status: number; body: Body }> {
    const headers = {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(key ? { authorization: `Bearer ${key}` } : {}),
    };
    const answer = await fetch(gateway.url + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    return { status: answer.status, body: await answer.json() };
  }

  const chat = { model: "fast", max_tokens: 5, messages: [{ role: "user", content: "Hello" }] };
  const make = async (body: object) => (await send("POST", "/api/keys", { name: "x", ...body }, DEVELOPMENT_KEY)).body;

  it("a key is made, used on every route of the data plane, and revoked", async () => {
    const { id, key } = await make({});
    const ask = async () => [
      (await send("POST", "/v1/chat/completions", chat, key)).status,
      (await send("POST", "/v1/messages", chat, key)).status,
      (await send("POST", "/v1/messages/count_tokens", chat, key)).status,
      (await send("GET", "/v1/models", undefined, key)).status,
    ];
    expect(await ask()).toEqual([200, 200, 200, 200]);
    expect((await send("POST", `/api/keys/${id}/revoke`, {}, DEVELOPMENT_KEY)).status).toBe(200);
    expect(await ask()).toEqual([401, 401, 401, 401]);
  });

  it("without a key the refusal comes in the client's own dialect", async () => {
    expect(await send("POST", "/v1/chat/completions", chat)).toEqual({
      status: 401,
      body: {
        error: { message: expect.stringContaining("No API key"), type: "authentication_error", param: null, code: "invalid_api_key" },
      },
    });
    expect(await send("POST", "/v1/messages", chat)).toMatchObject({
      status: 401,
      body: { type: "error", error: { type: "authentication_error" } },
    });
    expect((await send("GET", "/api/me")).status).toBe(401);
  });

  it.each([
    ["an unknown field", { name: "x", max_budget: null }],
    ["routes that are none", { name: "x", routes: ["/*"] }],
    ["a role that is none", { name: "x", role: "root" }],
    ["a hash of one's own", { name: "x", hash: "x" }],
    ["no name", {}],
    ["an address that is none", { name: "x", ips: ["10"] }],
    ["a rotation in the past", { name: "x", rotate_every_days: -1 }],
    ["a prototype", JSON.parse('{"name":"x","__proto__":{"role":"admin"}}')],
  ])("a key with %s is refused", async (_, body) => {
    expect(await send("POST", "/api/keys", body, DEVELOPMENT_KEY)).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_request" } },
    });
  });

  it.each([
    ["an unknown field", { is_admin: true }],
    ["an id of one's own", { id: "usr_1" }],
    ["an address that is none", { email: "a@b\r\nBcc: c@d" }],
    ["a plan that is no name", { plan: "<script>" }],
  ])("a user with %s is refused", async (_, body) => {
    expect(await send("POST", "/api/users", body, DEVELOPMENT_KEY)).toMatchObject({
      status: 400,
      body: { error: { code: "invalid_request" } },
    });
  });

  it("every route lets in whom its role says, and nobody below", async () => {
    const keys = Object.fromEntries(await Promise.all(ROLES.map(async (role) => [role, (await make({ role })).key as string])));
    const plugin = new AuthRig({} as Database);
    for (const { method, path, access } of plugin.hooks.routes ?? []) {
      const target = path.replace(":id", "no_such_id");
      const answers = await Promise.all(["", ...ROLES].map((role) => send(method, target, method === "GET" ? undefined : {}, keys[role])));
      const expected = ["", ...ROLES].map((role) => {
        if (role === "") return 401;
        return ROLES.indexOf(role as Role) < ROLES.indexOf(access as Role) ? 403 : expect.not.stringMatching(/^(401|403|5..)$/);
      });
      expect(
        answers.map(({ status }) => (status === 401 || status === 403 ? status : String(status))),
        `${method} ${path}`,
      ).toEqual(expected);
    }
  });
});
