import { type ApiRoute, ROLES } from "headgate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessTable } from "../../core/http/access.ts";
import { allRoutes, nameOf, type Owner, pathFor } from "../support/all-routes.ts";
import { expectError } from "../support/error-body.ts";
import { type Answer, type Members, startMembers } from "../support/members.ts";

const routes = allRoutes();
/** Per route, what each sort of caller gets: a status, or `yes`. */
const cells = new Map(accessTable(routes).map(([name = "", ...row]) => [name.replaceAll("`", ""), row]));
const named = (which: (route: ApiRoute) => boolean) => routes.filter(which).map((route) => [nameOf(route), route] as const);
const expected = (route: ApiRoute, who: number) => cells.get(nameOf(route))?.[who] ?? "no access";

let gateway: Members;
let count = 0;
beforeAll(async () => {
  gateway = await startMembers({ quota: { plans: { default: ["10000 tokens/month"] } } });
});
afterAll(() => gateway.stop());

/** What a route needs to do its work; one that is not here has to do it for an empty body. */
const INPUT: Readonly<Record<string, () => object>> = {
  "POST /api/users": () => ({ name: "New" }),
  "POST /api/keys": () => ({ name: "New" }),
  "PATCH /api/users/:id/limits": () => ({ limit: "20000 tokens/month" }),
  "PUT /api/users/:id/alert-thresholds": () => ({ thresholds: [50] }),
  "POST /api/users/:id/transactions": () => ({ unit: "tokens", amount: 5, reference: `bill-${count++}` }),
};
const QUERY: Readonly<Record<string, string>> = { "GET /api/models/search": "?q=sim" };

const NOBODY: Owner = { id: "usr_nobody", keyId: "key_nobody" };

async function call(route: ApiRoute, key: string | undefined, whose: Owner): Promise<Answer> {
  const name = nameOf(route);
  const body = route.method === "GET" ? undefined : (INPUT[name]?.() ?? {});
  const answer = await gateway.call(route.method, pathFor(route, whose) + (QUERY[name] ?? ""), key, body);
  if (answer.status >= 400) expectError(answer, "openai");
  else if (answer.json && route.reply) route.reply.parse(answer.json);
  if (!route.once) expect(answer.body).not.toMatch(/hg_\w{20}/);
  return answer;
}

/** What is done again for somebody who is gone. */
const ALSO_OF_NOBODY = /^POST \/api\/users\/:id\/erase$/;
/** What not even those who may do it to others may do to themselves. */
const NOT_TO_ONESELF = /^(?:POST \/api\/users\/:id\/(?:suspend|block|activate|erase)|DELETE \/api\/users\/:id)$/;

describe("E7: every route, every role, own ids and others'", () => {
  it("are all those of a gateway with every built-in plugin, each in the table", async () => {
    for (const route of routes) expect(cells.get(nameOf(route)), nameOf(route)).toHaveLength(1 + ROLES.length);
    const { json: documented } = await gateway.call("GET", "/api/openapi.json");
    const shown = Object.entries(documented.paths as object).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
    );
    expect(shown.toSorted()).toEqual(
      routes
        .filter(({ summary }) => summary)
        .map(nameOf)
        .toSorted(),
    );
  });

  describe.each(named(() => true))("%s", (name, route) => {
    const targets = route.path.includes(":") ? (["own", "foreign", "missing"] as const) : (["foreign"] as const);

    it("without a key, and with a wrong one", async () => {
      const owner = await gateway.join();
      const open = route.access === "public";
      expect(String((await call(route, undefined, owner)).status)).toBe(open ? "200" : expected(route, 0));
      expect((await call(route, "hg_wrong", owner)).status).toBe(open ? 200 : 401);
    });

    it.each(ROLES.map((role, index) => [role, index + 1] as const))("as %s", async (role, column) => {
      const verdict = expected(route, column);
      const told = new Set<string>();
      for (const target of targets) {
        const actor = await gateway.join({ role });
        const other = await gateway.join();
        const whose = { own: actor, foreign: other, missing: NOBODY }[target];
        const { status, body, json } = await call(route, actor.key, whose);
        const what = `${target}: ${status} ${body}`;
        if (verdict !== "yes") {
          expect(String(status), what).toBe(verdict);
          told.add(JSON.stringify(json));
        } else if (target === "missing") expect(status, what).toBe(ALSO_OF_NOBODY.test(name) ? 200 : 404);
        else if (target === "own" && NOT_TO_ONESELF.test(name)) expect(status, what).toBe(403);
        else expect([200, 201], what).toContain(status);
      }
      // A refusal does not say whether there is anything.
      expect(told.size).toBe(verdict === "yes" ? 0 : 1);
    });
  });

  it.each(named(({ access, path }) => access === "manager" && path.includes(":")))(
    "%s as a manager, of an admin's user and key",
    async (_, route) => {
      const manager = await gateway.join({ role: "manager" });
      const admin = await gateway.join({ role: "admin" });
      expect((await call(route, manager.key, admin)).status).toBe(403);
      expect((await gateway.call("GET", "/api/erasures", admin.key)).status).toBe(200);
    },
  );

  it.each(named(({ access }) => access !== "public"))(
    "%s with a key that was revoked, is suspended with its user, or is not for this",
    async (_, route) => {
      const revoked = await gateway.join({ role: "admin" });
      await gateway.administer("POST", `/api/keys/${revoked.keyId}/revoke`);
      const suspended = await gateway.join({ role: "admin" });
      await gateway.administer("POST", `/api/users/${suspended.id}/suspend`, { reason: "unpaid" });
      const chatting = await gateway.join({ role: "admin" }, { routes: ["chat"] });
      const statuses = [];
      for (const { key } of [revoked, suspended, chatting]) statuses.push((await call(route, key, await gateway.join())).status);
      expect(statuses).toEqual([401, 403, 403]);
    },
  );
});
