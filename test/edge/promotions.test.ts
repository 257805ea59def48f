import { type ApiRoute, ROLES } from "headgate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allRoutes, nameOf, pathFor } from "../support/all-routes.ts";
import { expectError } from "../support/error-body.ts";
import { type Answer, type Member, type Members, startMembers } from "../support/members.ts";

const routes = allRoutes();

let gateway: Members;
let admin: Member;
let manager: Member;
let victim: Member;
beforeAll(async () => {
  gateway = await startMembers({ quota: { plans: { default: ["10000 tokens/month"] } } });
  admin = await gateway.join({ role: "admin" });
  manager = await gateway.join({ role: "manager" });
  victim = await gateway.join();
});
afterAll(() => gateway.stop());

/** Fields that gave more power in some gateway or other, or would here if they were taken. */
const EXTRAS: Readonly<Record<string, unknown>> = {
  is_admin: true,
  role: "admin",
  roles: ["admin"],
  status: "active",
  trusted: true,
  user_id: "usr_x",
  id: "usr_x",
  key: "hg_mine",
  hash: "0".repeat(64),
  created_at: 0,
  revoked_at: null,
  allowed_routes: ["/*"],
  max_budget: null,
  spend: 0,
  permissions: { admin: true },
  metadata: { role: "admin" },
  api_base: "http://203.0.113.9/v1",
  base_url: "http://203.0.113.9/v1",
  custom_host: "http://203.0.113.9",
  extra_headers: { authorization: "Bearer sk-x" },
  api_key: "sk-x",
  organization: "org-x",
};

const pathOf = (route: ApiRoute) => pathFor(route, victim);

function expectRefused(answer: Answer, request = ""): void {
  expect([400, 403], answer.body).toContain(answer.status);
  expectError(answer, "openai", request);
}

describe("E7: fields that a route does not have", () => {
  const writes = routes.filter(({ method }) => method !== "GET").map((route) => [nameOf(route), route] as const);

  it.each(writes)("%s refuses them, naming the field", async (_, route) => {
    const before = await standing();
    const unknown = Object.entries(EXTRAS).filter(([name]) => !(name in (route.body?.shape ?? {})));
    expect(unknown.length).toBeGreaterThan(15);
    for (const [name, value] of unknown) {
      const body = JSON.stringify({ [name]: value });
      const answer = await gateway.call(route.method, pathOf(route), admin.key, body);
      expect(answer.status, `${name}: ${answer.body}`).toBe(400);
      expect(expectError(answer, "openai", body).message).toContain(name);
    }
    for (const body of ['{"__proto__":{"role":"admin"}}', '{"constructor":{"prototype":{"role":"admin"}}}', "[]", '"admin"', "null"]) {
      expectRefused(await gateway.call(route.method, pathOf(route), admin.key, body), body);
    }
    expect(await standing()).toEqual(before);
  });

  const reads = routes
    .filter(({ method, access }) => method === "GET" && access !== "public")
    .map((route) => [nameOf(route), route] as const);
  it.each(reads)("%s refuses them in the query", async (_, route) => {
    for (const name of ["role", "is_admin", "all", "base_url", "__proto__"]) {
      if (name in (route.query?.shape ?? {})) continue;
      const answer = await gateway.call("GET", `${pathOf(route)}?${name}=admin`, admin.key);
      expect(answer.status, `${name}: ${answer.body}`).toBe(400);
      expectError(answer, "openai");
    }
  });

  /** What there is, and what the victim may do. */
  async function standing() {
    const [users, keys, user, key, quota] = await Promise.all(
      [
        "/api/users?limit=200",
        "/api/keys?limit=200",
        `/api/users/${victim.id}`,
        `/api/keys/${victim.keyId}`,
        `/api/users/${victim.id}/quota`,
      ].map((path) => gateway.administer("GET", path)),
    );
    return { users: users.data.length, keys: keys.data.length, user, key: { ...key, last_used_at: null }, quota };
  }
});

describe("E7: promotions", () => {
  const ways = (whose: Member, role: string): [string, string, object][] => [
    ["POST", "/api/users", { name: "accomplice", role }],
    ["POST", "/api/keys", { name: "higher", role }],
    ["POST", "/api/keys", { name: "higher", user_id: whose.id, role }],
    ["POST", "/api/keys", { name: "trusted", trusted: true }],
    ["PATCH", `/api/users/${whose.id}`, { role }],
    ["PATCH", `/api/keys/${whose.keyId}`, { role }],
    ["PATCH", `/api/keys/${whose.keyId}`, { trusted: true }],
  ];

  it.each(ROLES.filter((role) => role !== "admin"))("nobody with the role %s makes themselves or others an admin", async (role) => {
    const climber = await gateway.join({ role });
    for (const whose of [climber, victim]) {
      for (const [method, path, body] of ways(whose, "admin")) {
        const answer = await gateway.call(method, path, climber.key, body);
        expect(answer.status, `${method} ${path} ${answer.body}`).toBe(403);
        expectError(answer, "openai");
      }
    }
    expect((await gateway.call("GET", "/api/me", climber.key)).json).toMatchObject({ role });
    expect((await gateway.call("GET", "/api/me", victim.key)).json).toMatchObject({ role: "user" });
  });

  it("a manager gets nothing that is an admin's: no key for one, no successor of one's key, no word in one's name", async () => {
    for (const [method, path, body] of [
      ["POST", "/api/keys", { name: "of an admin", user_id: admin.id }],
      ["POST", `/api/keys/${admin.keyId}/rotate`, {}],
      ["PATCH", `/api/users/${admin.id}`, { email: "mine@example.com" }],
      ["PATCH", `/api/users/${manager.id}`, { role: "user" }],
    ] as const) {
      expect((await gateway.call(method, path, manager.key, body)).status, `${method} ${path}`).toBe(403);
    }
  });

  it("a key has the lower of its own role and its user's", async () => {
    const high = await gateway.join({ role: "user" }, { role: "admin" });
    const low = await gateway.join({ role: "admin" }, { role: "user" });
    for (const { key } of [high, low]) expect((await gateway.call("GET", "/api/users", key)).status).toBe(403);
  });

  it("a trusted key lends nobody a role above its own, and other keys speak for nobody", async () => {
    const application = await gateway.join({}, { trusted: true });
    const headers = { "x-user-email": admin.email };
    expect((await gateway.call("GET", "/api/users", application.key, undefined, headers)).status).toBe(403);
    expect((await gateway.call("GET", "/api/users", victim.key, undefined, headers)).status).toBe(403);
    expect((await gateway.call("GET", "/api/me", victim.key, undefined, headers)).json.user.id).toBe(victim.id);
  });
});
