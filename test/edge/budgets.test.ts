import fc from "fast-check";
import type { GatewayConfig } from "headgate";
import { simulator } from "headgate/providers";
import { answerIn, ScriptedUpstream } from "headgate/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CHAT, MESSAGES, scripted } from "../support/edge.ts";
import { expectError, shapeOf } from "../support/error-body.ts";
import { type Member, type Members, startMembers } from "../support/members.ts";

const messages = [{ role: "user", content: "Hi" }];
const model = "simulator/sim-small";

let gateway: Members;
let upstream: ScriptedUpstream;
beforeEach(async () => {
  upstream = (await ScriptedUpstream.start()).always(answerIn("openai-chat", { text: "Hello" }));
});
afterEach(async () => {
  await gateway.stop();
  await upstream.close();
});

type QuotaOptions = NonNullable<NonNullable<Parameters<typeof startMembers>[0]>["quota"]>;
async function start(quota: QuotaOptions, config: Partial<GatewayConfig> = {}): Promise<void> {
  gateway = await startMembers({ quota }, config);
}

interface Standing {
  readonly unit: string;
  readonly used: number;
  readonly reserved: number;
  readonly limit: number;
}
const standing = async ({ key }: Member): Promise<Standing[]> => (await gateway.call("GET", "/api/me/quota", key)).json.limits;

describe("D7: two end users behind one key", () => {
  it("each have their own budget, over a thousand calls in any order", async () => {
    await start({ plans: { small: ["100 requests/day"], large: ["300 requests/day"] } });
    const application = await gateway.join({}, { trusted: true });
    const limits = { "ann@example.com": 100, "bob@example.com": 300 } as const;
    type Email = keyof typeof limits;
    for (const [email, plan] of [
      ["ann@example.com", "small"],
      ["bob@example.com", "large"],
    ]) {
      await gateway.administer("POST", "/api/users", { email, plan });
    }
    const order = fc.sample(
      fc.shuffledSubarray(
        Array.from({ length: 1_000 }, (_, n) => n),
        { minLength: 1_000 },
      ),
      { numRuns: 1, seed: 7 },
    )[0];
    const passed: Record<Email, number> = { "ann@example.com": 0, "bob@example.com": 0 };
    const one = async (n: number) => {
      const email: Email = n % 2 === 0 ? "ann@example.com" : "bob@example.com";
      // Named by a header or in the body, streamed or not, in either dialect.
      const headers: Record<string, string> = n % 3 === 0 ? {} : { "x-user-email": email };
      const body = { model, max_tokens: 5, messages, stream: n % 5 === 0, ...(n % 3 === 0 && { user: email }) };
      const path = n % 3 !== 0 && n % 7 === 0 ? MESSAGES : CHAT;
      const answer = await gateway.call("POST", path, application.key, body, headers);
      if (answer.status === 200) {
        passed[email] += 1;
        return;
      }
      expect(answer.status, answer.body).toBe(429);
      expectError(answer, shapeOf(path));
      expect(answer.headers).toMatchObject({ "x-headgate-quota-limit": String(limits[email]), "x-headgate-quota-unit": "requests" });
    };
    const waiting = [...(order ?? [])];
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let n = waiting.pop(); n !== undefined; n = waiting.pop()) await one(n);
      }),
    );
    expect(passed).toEqual({ "ann@example.com": 100, "bob@example.com": 300 });
    await vi.waitFor(async () => {
      const { data } = await gateway.administer("GET", "/api/usage/report?by=user");
      const booked: number[] = data.map(({ requests }: { requests: number }) => requests);
      // More where a busy machine had a call sent again.
      expect([booked.length, Math.min(...booked) >= 500]).toEqual([2, true]);
      for (const [email, limit] of Object.entries(limits)) {
        const [user] = (await gateway.administer("GET", `/api/users?q=${email}`)).data;
        const { limits: rows } = await gateway.administer("GET", `/api/users/${user.id}/quota`);
        expect(rows, email).toMatchObject([{ limit, used: limit }]);
      }
    }, 10_000);
  }, 60_000);
});

const BAD = ["-1", "0", "1.5", "1e309", "-1e309", '"100"', "9007199254740993", "true", "[]", "{}", "1e-9"];

describe("D8: bad numbers", () => {
  const text = (field: string, value: string, rest = '"max_tokens":5,') =>
    `{"model":"${model}",${rest}"${field}":${value},"messages":${JSON.stringify(messages)}}`;
  const cases: [path: string, field: string, body: string][] = [
    ...BAD.flatMap((bad): [string, string, string][] => [
      [CHAT, "max_tokens", text("max_tokens", bad, "")],
      [CHAT, "max_completion_tokens", text("max_completion_tokens", bad, "")],
      [CHAT, "n", text("n", bad)],
      [CHAT, "best_of", text("best_of", bad)],
      [MESSAGES, "max_tokens", text("max_tokens", bad, "")],
      ["/v1/embeddings", "dimensions", `{"model":"simulator/sim-embed","input":"Hi","dimensions":${bad}}`],
    ]),
    [CHAT, "n", text("n", "1e9")],
    [CHAT, "best_of", text("best_of", "1e9")],
    [MESSAGES, "max_tokens", text("max_tokens", "null", "")],
    [CHAT, "messages", `{"model":"${model}","messages":[]}`],
    [CHAT, "messages", `{"model":"${model}","messages":{}}`],
    [CHAT, "messages", `{"model":"${model}"}`],
    [MESSAGES, "messages", `{"model":"${model}","max_tokens":5,"messages":[]}`],
    ["/v1/embeddings", "input", '{"model":"simulator/sim-embed","input":[]}'],
    ["/v1/embeddings", "input", '{"model":"simulator/sim-embed","input":[1.5]}'],
  ];

  it("are refused with 400, naming the field, and nothing is set aside", async () => {
    await start({ plans: { default: ["1000 tokens/day", "$1/day", "1000 requests/day"] } });
    const member = await gateway.join();
    for (const [path, field, body] of cases) {
      const answer = await gateway.call("POST", path, member.key, body);
      expect(answer.status, `${path} ${body}: ${answer.body}`).toBe(400);
      const { message, param } = expectError(answer, shapeOf(path));
      expect(message, body).toContain(field);
      if (path !== MESSAGES) expect(param, body).toBe(field);
    }
    expect(await standing(member)).toMatchObject(Array(3).fill({ used: 0, reserved: 0 }));
  });

  it("that are only too high are more than the budget, and not below zero by overflow", async () => {
    await start({ plans: { default: ["1000 tokens/day", "$1/day"] } });
    const member = await gateway.join();
    for (const extra of [
      { max_tokens: 2 ** 53 - 1 },
      { max_tokens: 2 ** 53 - 1, n: 128 },
      { max_tokens: 999, n: 128, best_of: 128 },
      { n: 128 },
      { max_tokens: 100_000, max_completion_tokens: 1 },
      { max_tokens: 1, max_completion_tokens: 100_000 },
    ]) {
      const answer = await gateway.call("POST", CHAT, member.key, { model, messages, ...extra });
      expect(answer.status, JSON.stringify(extra)).toBe(429);
    }
    const huge = Array.from({ length: 2_000 }, () => messages[0]);
    expect((await gateway.call("POST", CHAT, member.key, { model, max_tokens: 5, messages: huge })).status).toBe(429);
    for (const { used, reserved } of await standing(member))
      expect([used, reserved]).toEqual([0, expect.toSatisfy((held: number) => held >= 0)]);
  });

  it("that name the output's maximum twice are shortened under both names", async () => {
    const providers = [scripted("scripted", "openai-chat", upstream.url)];
    await start({ plans: { default: ["1000 tokens/day"] }, clampOutput: true }, { providers });
    const { key } = await gateway.join();
    const limits = { max_tokens: 5_000, max_completion_tokens: 3_000 };
    expect((await gateway.call("POST", CHAT, key, { model: "m", messages, ...limits })).status).toBe(200);
    const sent = (await upstream.call(0)).json as typeof limits;
    for (const limit of [sent.max_tokens, sent.max_completion_tokens]) {
      expect(limit).toBeGreaterThan(900);
      expect(limit).toBeLessThan(1_000);
    }
  });

  it("of whatever kind never leave a budget below zero or above its limit", async () => {
    await start({ plans: { default: ["2000 tokens/day", "30 requests/day"] } });
    const member = await gateway.join();
    const value = fc.oneof(
      fc.constantFrom<unknown>(-1, 0, 1, 7, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 2 ** 53, 1e308, null, "5", Number.MIN_VALUE),
      fc.integer(),
      fc.double(),
      fc.jsonValue({ maxDepth: 1 }),
    );
    const fields = fc.record({ max_tokens: value, max_completion_tokens: value, n: value, best_of: value }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(fields, fc.constantFrom(CHAT, MESSAGES), async (extra, path) => {
        const { status, body } = await gateway.call("POST", path, member.key, { model, messages, ...extra });
        expect([200, 400, 429], `${JSON.stringify(extra)}: ${body}`).toContain(status);
        for (const { used, reserved, limit } of await standing(member)) {
          expect(Math.min(used, reserved)).toBeGreaterThanOrEqual(0);
          expect(used + reserved).toBeLessThanOrEqual(limit);
        }
      }),
      { numRuns: 100, seed: 8 },
    );
  });
});

describe("D5: a model whose price nobody knows", () => {
  const NAMES = ["scripted/m", "m", "cheap", "either"];
  const config = () => ({
    providers: [simulator({ speed: 0 }), scripted("scripted", "openai-chat", upstream.url)],
    models: { cheap: "scripted/m", either: [model, "scripted/m"] },
  });

  it.each(["chat", "messages"])("is refused where money is limited, by whatever name (%s)", async (dialect) => {
    await start({ plans: { default: ["$5/day"] } }, config());
    const { key } = await gateway.join();
    const path = dialect === "chat" ? CHAT : MESSAGES;
    for (const name of NAMES) {
      const answer = await gateway.call("POST", path, key, { model: name, max_tokens: 5, messages });
      expect(answer.status).toBe(403);
      expect(expectError(answer, shapeOf(path)).message).toContain("no known price");
    }
    expect(upstream.calls).toHaveLength(0);
  });

  it("costs what the config says, if it says so", async () => {
    await start({ plans: { default: ["$5/day"] }, unknownPrice: { input: 1_000, output: 1_000 } }, config());
    const member = await gateway.join();
    for (const name of NAMES)
      expect((await gateway.call("POST", CHAT, member.key, { model: name, max_tokens: 5, messages })).status).toBe(200);
    await vi.waitFor(async () => expect((await standing(member))[0]?.used).toBeGreaterThan(0.01), 10_000);
  });

  it("is served where money is not limited, and booked as of unknown cost, not as free", async () => {
    await start({ plans: { default: ["1000 tokens/day"] } }, config());
    const member = await gateway.join();
    expect((await gateway.call("POST", CHAT, member.key, { model: "cheap", max_tokens: 5, messages })).status).toBe(200);
    await vi.waitFor(async () => {
      const { data } = await gateway.administer("GET", "/api/usage");
      expect(data).toMatchObject([{ user_id: member.id, cost: null }]);
    }, 10_000);
  });
});
