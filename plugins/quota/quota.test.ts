import { bind, Catalogue, type GatewayConfig } from "headgate";
import { quota } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { describePlugin, startGateway, type TestGateway } from "headgate/testing";
import { afterEach, describe, expect, it } from "vitest";
import { asCaller } from "../../test/support/caller.ts";
import { hasPostgres, startPostgres } from "../../test/support/postgres.ts";

const NO_CATALOGUE: Catalogue = {
  resolve: () => [],
  aliases: () => [],
  providers: () => [],
  models: () => [],
  find: () => undefined,
  cost: () => null,
  start() {},
  stop() {},
};

describePlugin("quota", quota, {
  options: { everyone: ["1000000 tokens/month"] },
  services: () => [bind(Catalogue, NO_CATALOGUE)],
});

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each.stop();
});

async function start(options: Parameters<typeof quota>[0], config: Partial<GatewayConfig> = {}): Promise<TestGateway> {
  const gateway = await startGateway({
    providers: [simulator({ speed: 0 })],
    models: { fast: "simulator/sim-small" },
    ...config,
    plugins: [asCaller(), config.plugins, quota(options)],
  });
  running.push(gateway);
  return gateway;
}

const ROUTES = {
  "chat completions": {
    path: "/v1/chat/completions",
    body: { model: "fast", max_tokens: 50, messages: [{ role: "user", content: "Hi" }] },
  },
  messages: { path: "/v1/messages", body: { model: "fast", max_tokens: 50, messages: [{ role: "user", content: "Hi" }] } },
  embeddings: { path: "/v1/embeddings", body: { model: "simulator/sim-embed", input: "Hi" } },
} as const;

async function ask(url: string, { path, body }: { path: string; body: object }, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

async function volley(urls: readonly string[], count: number, call: { path: string; body: object }) {
  const answers = await Promise.all(Array.from({ length: count }, (_, n) => ask(urls[n % urls.length] as string, call)));
  return {
    passed: answers.filter(({ status }) => status === 200).length,
    refused: answers.filter(({ status, text }) => status === 429 && /insufficient_quota|rate_limit_error/.test(text)).length,
  };
}

describe("D1: 200 calls at once on a quota for 20", () => {
  for (const [name, { path, body }] of Object.entries(ROUTES)) {
    for (const stream of path.includes("embeddings") ? [false] : [false, true]) {
      it(`lets exactly 20 pass: ${name}${stream ? ", streamed" : ""}`, async () => {
        const { url } = await start({ plans: { small: ["20 requests/day"] } });
        expect(await volley([url], 200, { path, body: { ...body, ...(stream && { stream }) } })).toEqual({ passed: 20, refused: 180 });
      });
    }
  }

  it.skipIf(!hasPostgres)("lets exactly 20 pass on PostgreSQL, through two gateways", async () => {
    const server = await startPostgres();
    running.push({ stop: () => server.stop() });
    const database = await server.database("quota_two");
    const one = await start({ plans: { small: ["20 requests/day"] } }, { database });
    const two = await start({ plans: { small: ["20 requests/day"] } }, { database });
    expect(await volley([one.url, two.url], 200, ROUTES["chat completions"])).toEqual({ passed: 20, refused: 180 });
  });

  it("says what is used, of how much, what was needed, and when it begins anew", async () => {
    const { url } = await start({ plans: { small: ["1 requests/day"] } });
    expect((await ask(url, ROUTES["chat completions"])).status).toBe(200);
    const { status, headers, text } = await ask(url, ROUTES["chat completions"]);
    expect(status).toBe(429);
    expect(headers.get("x-should-retry")).toBe("false");
    expect(headers.get("x-headgate-quota-limit")).toBe("1");
    const { error } = JSON.parse(text);
    expect(error).toMatchObject({ code: "insufficient_quota", type: "insufficient_quota" });
    expect(error.message).toMatch(/quota for this day of 1 request.*begins anew at 20/);
  });
});
