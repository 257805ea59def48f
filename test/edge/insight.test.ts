import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { allRoutes, nameOf, pathFor } from "../support/all-routes.ts";
import { expectError } from "../support/error-body.ts";
import { type Member, type Members, startMembers } from "../support/members.ts";

const routes = allRoutes();

let gateway: Members;
let victim: Member;
beforeAll(async () => {
  gateway = await startMembers({ quota: { plans: { default: ["10000 tokens/month"] } } });
  victim = await gateway.join();
});
afterAll(() => gateway.stop());

describe("E7: one's own affairs", () => {
  let ann: Member;
  let bob: Member;
  const own = routes.filter(({ path }) => path.startsWith("/api/me"));

  beforeAll(async () => {
    [ann, bob] = [await gateway.join(), await gateway.join()];
    const ask = { model: "simulator/sim-small", max_tokens: 10, messages: [{ role: "user", content: "Hi" }] };
    for (const { key } of [ann, bob, bob]) expect((await gateway.call("POST", "/v1/chat/completions", key, ask)).status).toBe(200);
    const booked = async () => (await gateway.administer("GET", `/api/usage?user=${bob.id}`)).data.length;
    await vi.waitFor(async () => expect(await booked()).toBe(2), 10_000);
  });

  it.each(own.map((route) => [nameOf(route), route] as const))("%s shows nothing of others, whatever is asked", async (_, { path }) => {
    const asked = ["", ...["user", "user_id", "id", "key", "team"].map((name) => `?${name}=${bob.id}`)];
    for (const query of asked) {
      const claims: Record<string, string>[] = [{}, { "x-user-email": bob.email }, { "x-user-id": bob.id, "x-headgate-user": bob.id }];
      for (const headers of claims) {
        const answer = await gateway.call("GET", path + query, ann.key, undefined, headers);
        expect([200, 400]).toContain(answer.status);
        if (query === "") expect(answer.status, answer.body).toBe(200);
        if (answer.status === 200) for (const trace of [bob.id, bob.email, bob.keyId]) expect(answer.body).not.toContain(trace);
      }
    }
  });

  it("are one's own: name, keys, quota, usage, export", async () => {
    for (const [{ id, email, keyId, key }, calls] of [
      [ann, 1],
      [bob, 2],
    ] as const) {
      const read = async (path: string) => (await gateway.call("GET", path, key)).json;
      expect(await read("/api/me")).toMatchObject({ user: { id, email }, keys: [{ id: keyId }] });
      expect(await read("/api/me/quota")).toMatchObject({ user: id });
      expect(await read("/api/me/usage")).toMatchObject({ data: [{ requests: calls }] });
      expect(JSON.stringify(await read("/api/me/export"))).toContain(email);
    }
  });

  it("cannot be reached under another's id", async () => {
    const foreign = routes.filter(({ path }) => path.includes(":id")).map((route) => [route.method, pathFor(route, bob)] as const);
    for (const [method, path] of foreign) expect((await gateway.call(method, path, ann.key)).status, `${method} ${path}`).toBe(403);
    expect((await gateway.call("GET", "/api/me", bob.key)).status).toBe(200);
  });
});

describe("E13: what a stranger finds on a gateway with all plugins", () => {
  it("is nothing but how it is and how it is used", async () => {
    const found = [];
    for (const route of routes.filter(({ method }) => method === "GET")) {
      const answer = await gateway.call("GET", pathFor(route, victim));
      if (answer.status === 200) found.push(route.path);
      else expect([401, 404], `${route.path}: ${answer.body}`).toContain(answer.status);
      for (const trace of [victim.id, victim.email, "/tmp", "sqlite", "member"]) expect(answer.body).not.toContain(trace);
    }
    expect(found.toSorted()).toEqual(["/api/openapi.json", "/docs", "/health", "/health/live", "/health/ready", "/v1/health"]);
  });

  it.each([
    "/admin",
    "/debug",
    "/debug/pprof",
    "/api",
    "/api/",
    "/console",
    "/.env",
    "/.headgate/headgate.db",
    "/headgate.db",
    "/core/http/app.ts",
  ])("is not %s", async (path) => {
    for (const key of [undefined, victim.key]) expect([400, 404]).toContain((await gateway.call("GET", path, key)).status);
  });

  it.each(["/core/http/app.js.map", "/dist/core/index.js.map", "/docs.js.map", "/docs/", "/metrics/", "/metrics.json", "/api/keys.json"])(
    "is not %s",
    async (path) => {
      const answer = await gateway.call("GET", path);
      expect([400, 404]).toContain(answer.status);
      expectError(answer, "openai");
    },
  );
});
