import { request as httpRequest } from "node:http";
import {
  ApiGuard,
  type ApiRequest,
  type ApiRoute,
  apiRoute,
  bind,
  type Caller,
  definePlugin,
  type EventMap,
  Events,
  GatewayError,
  ROLES,
  type Role,
} from "headgate";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Answered, expectError } from "../support/error-body.ts";

const seen: ApiRequest[] = [];
const told: EventMap["api.handled"][] = [];
let answer: () => unknown = () => ({ id: "thing_1" });
beforeEach(() => {
  seen.length = 0;
  told.length = 0;
  answer = () => ({ id: "thing_1" });
});

const handle = async (request: ApiRequest) => {
  seen.push(request);
  return { body: await answer() };
};
const route = (access: ApiRoute["access"]): ApiRoute => ({ method: "GET", path: `/api/for-${access}`, access, handle });
const routes: ApiRoute[] = [
  ...(["public", "operator", ...ROLES] as const).map(route),
  apiRoute({
    method: "GET",
    path: "/api/things",
    access: "viewer",
    query: z.strictObject({ limit: z.coerce.number().int().min(1).max(9).default(5), colour: z.enum(["red", "blue"]).optional() }),
    handle,
  }),
  apiRoute({
    method: "POST",
    path: "/api/things",
    access: "manager",
    body: z.strictObject({ name: z.string().min(1), size: z.int().default(1), password: z.string().optional() }),
    handle,
  }),
  { method: "POST", path: "/api/secrets", access: "manager", once: true, body: z.strictObject({ name: z.string() }), handle },
  { method: "POST", path: "/api/things/:id/polish", access: "manager", handle },
  { method: "DELETE", path: "/api/things/:id", access: "admin", handle },
  {
    method: "GET",
    path: "/api/pieces",
    access: "public",
    handle: () => ({ type: "text/csv", body: pieces() }),
  },
];

async function* pieces() {
  for (let line = 0; line < 3; line++) yield `line,${line}\n`;
  if (answer() === "broken") throw new Error("no more");
}

const callerOf = (role: Role, name = role): Caller => ({ user: null, key: name, team: null, plan: "", segment: "", role, name });

/** Keys are the names of roles; `other-admin` is a second admin. */
const guard: ApiGuard = {
  async identify({ headers }) {
    const key = headers.authorization?.replace("Bearer ", "");
    if (key === undefined) return undefined;
    if (key === "other-admin") return callerOf("admin", key as Role);
    if (!ROLES.includes(key as Role)) throw new GatewayError("invalid_api_key");
    return callerOf(key as Role);
  },
};

function plugin(guarded: boolean) {
  return definePlugin({
    name: "things",
    options: z.strictObject({}),
    inject: { events: Events },
    setup(_options, { events }) {
      events.on("api.handled", (event) => told.push(event));
      return { routes, services: guarded ? [bind(ApiGuard, guard)] : [] };
    },
  })();
}

let guarded: TestGateway;
let open: TestGateway;
beforeAll(async () => {
  guarded = await startGateway({ providers: [simulator()], plugins: [plugin(true)] });
  open = await startGateway({ providers: [simulator()], plugins: [plugin(false)] });
});
afterAll(() => Promise.all([guarded.stop(), open.stop()]));

interface Asked {
  readonly as?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly gateway?: TestGateway;
}

async function ask(asked: string, { as, body, headers = {}, gateway = guarded }: Asked = {}): Promise<Answered & { json: never }> {
  const [method = "", path = ""] = asked.split(" ");
  const sent = {
    ...(as && { authorization: `Bearer ${as}` }),
    ...(body !== undefined && { "content-type": "application/json" }),
    ...headers,
  };
  const response = await fetch(gateway.url + path, { method, headers: sent, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await response.text();
  const json = response.headers.get("content-type") === "application/json" ? JSON.parse(text) : undefined;
  return { status: response.status, headers: Object.fromEntries(response.headers), body: text, json: json as never };
}

/** A request whose every header is the test's to choose. */
function raw(asked: string, gateway: TestGateway, headers: Record<string, string>): Promise<{ status: number | undefined }> {
  const [method, path] = asked.split(" ");
  const { hostname, port } = new URL(gateway.url);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ method, path, hostname, port, headers }, (response) => {
      response.resume().once("end", () => resolve({ status: response.statusCode }));
    });
    request.once("error", reject).end();
  });
}

const AWAY = { "x-forwarded-for": "203.0.113.9" };

describe("who may call a route", () => {
  const expected: Record<string, Record<string, number>> = {
    public: { nobody: 200, user: 200, viewer: 200, manager: 200, admin: 200 },
    operator: { nobody: 404, user: 403, viewer: 200, manager: 200, admin: 200 },
    user: { nobody: 401, user: 200, viewer: 200, manager: 200, admin: 200 },
    viewer: { nobody: 401, user: 403, viewer: 200, manager: 200, admin: 200 },
    manager: { nobody: 401, user: 403, viewer: 403, manager: 200, admin: 200 },
    admin: { nobody: 401, user: 403, viewer: 403, manager: 403, admin: 200 },
  };
  it.each(Object.entries(expected))("%s", async (access, statuses) => {
    const got: Record<string, number> = {};
    for (const as of ["nobody", ...ROLES]) {
      const { status } = await ask(`GET /api/for-${access}`, { ...(as !== "nobody" && { as }), headers: AWAY });
      got[as] = status;
    }
    expect(got).toEqual(statuses);
  });

  it("a caller on this machine may see the gateway's inside without a key, and nothing else that is guarded", async () => {
    expect((await ask("GET /api/for-operator")).status).toBe(200);
    expect((await ask("GET /api/for-user")).status).toBe(401);
  });

  it("where no plugin authenticates, a caller on this machine may do everything, and one from elsewhere nothing", async () => {
    expect((await ask("GET /api/for-admin", { gateway: open })).status).toBe(200);
    const answer = await ask("GET /api/for-user", { gateway: open, headers: AWAY });
    expect(answer.status).toBe(401);
    expect(expectError(answer, "openai").code).toBe("invalid_api_key");
    expect((await ask("GET /api/for-operator", { gateway: open, headers: AWAY })).status).toBe(404);
    expect((await ask("GET /api/for-public", { gateway: open, headers: AWAY })).status).toBe(200);
  });

  it("no web page may make a browser on this machine do it", async () => {
    const hostile: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { host: "evil.example" },
      { "sec-fetch-site": "cross-site" },
    ];
    for (const headers of hostile) {
      const { status } = await raw("POST /api/things/t/polish", open, headers);
      expect(status, JSON.stringify(headers)).toBe(401);
    }
    const own = new URL(open.url);
    expect((await raw("POST /api/things/t/polish", open, { origin: own.origin, host: own.host })).status).toBe(200);
  });

  it("is asked before anything else is looked at", async () => {
    const { status } = await ask("POST /api/things?nonsense=1", { as: "viewer", body: { nonsense: 1 } });
    expect(status).toBe(403);
    expect((await ask("POST /api/things", { as: "viewer", headers: { "content-type": "text/plain" } })).status).toBe(403);
    expect(seen).toEqual([]);
  });

  it("says what is wrong with a credential", async () => {
    const answer = await ask("GET /api/for-user", { as: "hg_wrong" });
    expect(answer.status).toBe(401);
    expect(expectError(answer, "openai").code).toBe("invalid_api_key");
  });
});

describe("what is asked", () => {
  it("reaches the handler as its schemas give it", async () => {
    await ask("GET /api/things?limit=3", { as: "admin" });
    await ask("GET /api/things?limit=", { as: "admin" });
    await ask("POST /api/things", { as: "admin", body: { name: "a" } });
    expect(seen.map(({ query, body }) => ({ query, body }))).toEqual([
      { query: { limit: 3 }, body: {} },
      { query: { limit: 5 }, body: {} },
      { query: {}, body: { name: "a", size: 1 } },
    ]);
    expect(seen[0]).toMatchObject({ ip: "127.0.0.1", caller: { name: "admin" }, requestId: expect.stringMatching(/^req_/) });
  });

  it.each([
    ["GET /api/things?limt=3", undefined, "limt", 'There is no query parameter "limt"; did you mean "limit"?'],
    ["GET /api/things?limit=0", undefined, "limit", 'The query parameter "limit" has to be a whole number from 1 to 9, not "0".'],
    ["GET /api/things?limit=1&limit=2", undefined, "limit", 'The query parameter "limit" is given more than once.'],
    ["GET /api/things?__proto__=1", undefined, "__proto__", 'There is no query parameter "__proto__"; known are limit or colour.'],
    ["POST /api/things", { name: "a", role: "admin" }, "role", 'There is no field "role"; known are name, size or password.'],
    ["POST /api/things", {}, "name", 'The field "name" has to be a text that is not empty, not nothing.'],
    ["POST /api/things", undefined, "name", 'The field "name" has to be a text that is not empty, not nothing.'],
    ["POST /api/things/t/polish", { hard: true }, "hard", 'There is no field "hard"; none is taken here.'],
  ] as const)("%s %j is refused", async (asked, body, param, message) => {
    const answer = await ask(asked, { as: "admin", body });
    expect(answer.status).toBe(400);
    expect(expectError(answer, "openai")).toMatchObject({ code: "invalid_request", param, message });
    expect(seen).toEqual([]);
  });

  it("is told every mistake at once, without what looks secret", async () => {
    const answer = await ask("POST /api/things", { as: "admin", body: { name: 1, size: "x", password: { a: "hunter2hunter2" } } });
    const { message } = expectError(answer, "openai");
    expect(message).toContain('"name"');
    expect(message).toContain('"size"');
    expect(message).toContain('"password"');
    expect(message).not.toContain("hunter2");
  });

  it("takes JSON alone", async () => {
    const answer = await ask("POST /api/things", { as: "admin", body: { name: "a" }, headers: { "content-type": "text/plain" } });
    expect(answer.status).toBe(415);
  });

  it("names nothing longer than an id", async () => {
    expect((await ask(`DELETE /api/things/${"x".repeat(200)}`, { as: "admin" })).status).toBe(200);
    const answer = await ask(`DELETE /api/things/${"x".repeat(201)}`, { as: "admin" });
    expect(answer.status).toBe(400);
    expect(expectError(answer, "openai").param).toBe("id");
  });
});

describe("an answer in pieces", () => {
  it("is sent whole", async () => {
    const answer = await ask("GET /api/pieces");
    expect(answer).toMatchObject({ status: 200, body: "line,0\nline,1\nline,2\n" });
    expect(answer.headers).toMatchObject({ "content-type": "text/csv", "cache-control": "no-store", "x-content-type-options": "nosniff" });
  });

  it("does not look whole when it breaks off", async () => {
    answer = () => "broken";
    await expect(ask("GET /api/pieces")).rejects.toThrow();
  });
});

describe("what is told of a call", () => {
  it("is everything that was to change something, its secrets masked", async () => {
    await ask("POST /api/things", { as: "manager", body: { name: "a", password: "hunter2" } });
    await ask("POST /api/things", { as: "manager", body: { nam: "a" } });
    answer = () => {
      throw new GatewayError("conflict");
    };
    await ask("DELETE /api/things/t1", { as: "admin" });
    expect(told).toEqual([
      expect.objectContaining({ caller: callerOf("manager"), method: "POST", status: 200, body: { name: "a", password: "***" } }),
      expect.objectContaining({ status: 400, error: "invalid_request", body: { nam: "a" } }),
      expect.objectContaining({ route: "/api/things/:id", params: { id: "t1" }, status: 409, error: "conflict" }),
    ]);
  });

  it("is every refusal, and no reading", async () => {
    await ask("GET /api/things", { as: "viewer" });
    await ask("GET /api/things", { as: "user" });
    await ask("GET /api/things");
    await ask("GET /api/for-operator", { headers: AWAY });
    expect(told.map(({ caller, method, status, error }) => [caller?.name, method, status, error])).toEqual([
      ["user", "GET", 403, "permission_denied"],
      [undefined, "GET", 401, "invalid_api_key"],
      [undefined, "GET", 404, "not_found"],
    ]);
  });
});

describe("Idempotency-Key", () => {
  let count = 0;
  const post = (key: string, options: Asked & { path?: string } = {}) =>
    ask(`POST ${options.path ?? "/api/things"}`, {
      as: "admin",
      body: { name: "a", size: 2 },
      ...options,
      headers: { "idempotency-key": key },
    });
  beforeEach(() => {
    answer = () => ({ id: `thing_${++count}`, token: "only-now" });
  });

  it("gives the first answer again for the same write, in whatever order its fields come", async () => {
    const first = await post("k1");
    const again = await post("k1", { body: { size: 2, name: "a" } });
    expect(again.json).toEqual(first.json);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(first.headers["idempotency-replayed"]).toBeUndefined();
    expect(seen).toHaveLength(1);
  });

  it("refuses another write under the same key", async () => {
    await post("k2");
    const other = await post("k2", { body: { name: "b" } });
    expect(other.status).toBe(422);
    expect(expectError(other, "openai").code).toBe("idempotency_mismatch");
    expect(seen).toHaveLength(1);
  });

  it("keeps callers and routes apart", async () => {
    await post("k3");
    await post("k3", { as: "other-admin" });
    await post("k3", { path: "/api/things/t/polish", body: {} });
    await post("k3", { path: "/api/things/u/polish", body: {} }).then(({ status }) => expect(status).toBe(422));
    expect(seen).toHaveLength(3);
  });

  it("lets one of two at a time through", async () => {
    const gate = Promise.withResolvers<object>();
    answer = () => gate.promise;
    const first = post("k4");
    await expect.poll(() => seen.length).toBe(1);
    const second = await post("k4");
    expect(second.status).toBe(409);
    expect(expectError(second, "openai").code).toBe("idempotency_conflict");
    gate.resolve({ id: "thing_late" });
    expect((await first).status).toBe(200);
    expect((await post("k4")).json).toEqual({ id: "thing_late" });
  });

  it("tries a failed write anew", async () => {
    answer = () => {
      throw new GatewayError("conflict");
    };
    expect((await post("k5")).status).toBe(409);
    answer = () => ({ id: "thing_ok" });
    expect((await post("k5")).json).toEqual({ id: "thing_ok" });
    expect(seen).toHaveLength(2);
  });

  it("does not keep a secret that is shown once", async () => {
    const made = await post("k6", { path: "/api/secrets", body: { name: "a" } });
    const again = await post("k6", { path: "/api/secrets", body: { name: "a" } });
    expect(again.status).toBe(409);
    const { code, message } = expectError(again, "openai");
    expect(code).toBe("conflict");
    expect(message).toContain((made.json as { id: string }).id);
    expect(again.body).not.toContain("only-now");
    expect(seen).toHaveLength(1);
  });

  it.each([
    ["of 256 characters", "x".repeat(256)],
    ["with a space", "a b"],
    ["beyond ASCII", "é"],
  ])("does not take a key %s", async (_, key) => {
    const { status } = await post(key);
    expect(status).toBe(400);
    expect(seen).toEqual([]);
  });
});
