import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_DIALECTS } from "../../core/http/client-dialects.ts";
import { expectError, shapeOf } from "../support/error-body.ts";
import { type Members, retrying, startMembers } from "../support/members.ts";
import { sendRaw } from "../support/raw-http.ts";

const routes = CLIENT_DIALECTS.flatMap(({ client }) => client.routes);
type Route = (typeof routes)[number];

const messages = [{ role: "user", content: "Hi" }];
const BODIES: Readonly<Record<Route["operation"], object | undefined>> = {
  chat: { model: "simulator/sim-small", max_tokens: 10, messages },
  count_tokens: { model: "simulator/sim-small", messages },
  embeddings: { model: "simulator/sim-embed", input: "Hi" },
  models: undefined,
};
/** Operations that use nothing up, so that no quota stands in their way. */
const FREE: readonly string[] = ["models", "count_tokens"];

/** The same path, as another reader might understand it too. */
const OTHER_SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.replace("/v1/", "/v1//"),
  (path) => path.toUpperCase(),
  (path) => path.slice(0, -1) + path.slice(-1).toUpperCase(),
  (path) => `/.${path}`,
  (path) => `/%2e${path}`,
  (path) => path.replace("/v1/", "/v1/../v1/"),
  (path) => path.replace("/v1/", "/v1/%2e%2e/v1/"),
  (path) => path.replace("/v1/", "/v1%2f"),
  (path) => path.replace("/v1/", "/v1\\"),
  (path) => path.replace("/v1/", "/%76%31/"),
  (path) => `${path};x`,
  (path) => path.replace("/v1/", "/v1;x/"),
  (path) => `${path}%20`,
  (path) => `${path}%00`,
  (path) => `${path}.`,
  (path) => `${path}.json`,
  (path) => `http://gateway${path}`,
  (path) => `/v1${path}`,
  (path) => `/openai${path}`,
  (path) => path.replace("/v1/", "/v2/"),
];
/** Where other gateways have more; what is not a route here must not become one unguarded. */
const ELSEWHERE = [
  "/v1/completions",
  "/v1/responses",
  "/openai/deployments/sim-small/chat/completions",
  "/chat/completions",
  "/v1/engines/x/completions",
];

let gateway: Members;
const keys: Record<string, string> = {};
let reached = 0;

beforeAll(async () => {
  gateway = await startMembers(
    { quota: { plans: { calls: ["1 request/day"], tokens: ["200 tokens/day"], money: ["$0.0001/day"], nothing: ["0 requests/day"] } } },
    {
      plugins: [
        {
          name: "innermost",
          handle: (_, next) => {
            reached += 1;
            return next();
          },
        },
      ],
    },
  );
  for (const plan of ["calls", "tokens", "money", "nothing"]) {
    const { key } = await gateway.join({ plan });
    await useUp(key);
    keys[`out of ${plan}`] = key;
  }
  for (const word of ["suspend", "block"]) {
    const member = await gateway.join();
    await gateway.administer("POST", `/api/users/${member.id}/${word}`);
    keys[word] = member.key;
  }
  const revoked = await gateway.join();
  await gateway.administer("POST", `/api/keys/${revoked.keyId}/revoke`);
  keys.revoked = revoked.key;
  const deleted = await gateway.join();
  await gateway.administer("DELETE", `/api/users/${deleted.id}`);
  keys.deleted = deleted.key;
  keys.expired = (await gateway.join({}, { expires_at: "2020-01-01T00:00:00Z" })).key;
  keys.elsewhere = (await gateway.join({}, { ips: ["192.0.2.1"] })).key;
  keys.administering = (await gateway.join({}, { routes: ["api"] })).key;
  keys.wrong = "hg_wrong";
  keys.good = (await gateway.join({ plan: "unlimited" })).key;
});
afterAll(() => gateway.stop());

/** Calls with ever less until not even the least is let through. */
async function useUp(key: string): Promise<void> {
  for (const length of [5_000, 500, 50, 2]) {
    let status = 200;
    for (let turn = 0; turn < 200 && status === 200; turn += 1) {
      const input = "Hi".repeat(length / 2);
      status = (await gateway.call("POST", "/v1/embeddings", key, { model: "simulator/sim-embed", input })).status;
    }
    expect(status).toBe(429);
  }
}

async function ask({ method, operation }: Pick<Route, "method" | "operation">, target: string, key: string | undefined, extra = {}) {
  const content = BODIES[operation];
  const body = content ? JSON.stringify({ ...content, ...extra }) : "";
  const lines = [`${method} ${target} HTTP/1.1`, "host: gateway", ...(key ? [`authorization: Bearer ${key}`] : [])];
  if (content) lines.push("content-type: application/json", `content-length: ${Buffer.byteLength(body)}`);
  return retrying(async () => {
    const { responses } = await sendRaw(gateway.port, `${lines.join("\r\n")}\r\n\r\n${body}`, { responses: 1 });
    const [answer] = responses;
    if (!answer) throw new Error(`no answer to ${target}`);
    return answer;
  });
}

const VERDICTS: Readonly<Record<string, number>> = {
  "out of calls": 429,
  "out of tokens": 429,
  "out of money": 429,
  "out of nothing": 429,
  suspend: 403,
  block: 403,
  revoked: 401,
  deleted: 401,
  expired: 401,
  elsewhere: 403,
  administering: 403,
  wrong: 401,
  "without a key": 401,
};

describe("D6: who may not use one route may use none, however it is spelt", () => {
  describe.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))("%s", (_, route) => {
    it("serves a good key, under its one spelling", async () => {
      const before = reached;
      expect((await ask(route, route.path, keys.good)).status).toBe(200);
      expect((await ask(route, `${route.path}?a=b`, keys.good)).status).toBe(200);
      expect(reached).toBe(before + 2);
      for (const spelling of OTHER_SPELLINGS) {
        const target = spelling(route.path);
        const answer = await ask(route, target, keys.good);
        expect([400, 404], target).toContain(answer.status);
      }
      expect(reached).toBe(before + 2);
    });

    it.each(Object.keys(VERDICTS))("refuses a key that is %s", async (who) => {
      if (who.startsWith("out of") && FREE.includes(route.operation)) return;
      const before = reached;
      for (const target of [route.path, `${route.path}?a=b`, `${route.path}?model=sim-nano&user=x`]) {
        for (const extra of route.operation === "chat" ? [{}, { stream: true }, { model: "sim-small" }] : [{}]) {
          const answer = await ask(route, target, keys[who], extra);
          expect(answer.status, answer.body).toBe(VERDICTS[who]);
          expectError(answer, shapeOf(route.path));
        }
      }
      for (const spelling of OTHER_SPELLINGS) {
        const answer = await ask(route, spelling(route.path), keys[who]);
        expect([400, 404, VERDICTS[who]], spelling(route.path)).toContain(answer.status);
      }
      expect(reached).toBe(before);
    });
  });

  it.each(ELSEWHERE)("%s is no route, for anybody", async (path) => {
    const before = reached;
    for (const key of Object.values(keys)) expect((await ask({ method: "POST", operation: "chat" }, path, key)).status).toBe(404);
    expect(reached).toBe(before);
  });
});
