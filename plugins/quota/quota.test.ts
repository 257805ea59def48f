import { bind, Catalogue, type GatewayConfig, GatewayError, resolveConfig } from "headgate";
import { quota } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { describePlugin, exchange, fakeServices, startGateway, type TestGateway } from "headgate/testing";
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

/** A plugin at which calls wait. */
function hold() {
  const [reached, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const held = {
    name: "hold",
    async handle(_: unknown, next: () => Promise<void>) {
      reached.resolve();
      await gone.promise;
      await next();
    },
  };
  return { held, release: { reached: reached.promise, go: () => gone.resolve() } };
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
        const answered = await volley([url], 200, { path, body: { ...body, ...(stream && { stream }) } });
        expect(answered).toEqual({ passed: 20, refused: 180 });
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

describe("a budget", () => {
  it("goes on over a reload: calls under way settle, and what they used is not to be had again", async () => {
    const { held, release } = hold();
    const config = { providers: [simulator({ speed: 0 })], models: { fast: "simulator/sim-small" } };
    const gateway = await startGateway({ ...config, plugins: [asCaller(), quota({ plans: { small: ["2 requests/day"] } }), held] });
    running.push(gateway);
    const under = ask(gateway.url, ROUTES["chat completions"]);
    await release.reached;
    const wider = { ...config, server: { port: 0 }, plugins: [asCaller(), quota({ plans: { small: ["3 requests/day"] } })] };
    await gateway.gateway.reload(resolveConfig(wider));
    expect((await ask(gateway.url, ROUTES["chat completions"])).status).toBe(200);
    release.go();
    expect((await under).status).toBe(200);
    expect((await ask(gateway.url, ROUTES["chat completions"])).status).toBe(200);
    const { status, headers } = await ask(gateway.url, ROUTES["chat completions"]);
    expect([status, headers.get("x-headgate-quota-limit")]).toEqual([429, "3"]);
  });

  it("D7: of one user is not another's, on one gateway", async () => {
    const { url } = await start({ plans: { small: ["3 requests/day"] } });
    const asked = Array.from({ length: 20 }, (_, n) => ask(url, ROUTES.embeddings, { "x-test-user": n % 2 === 0 ? "usr_ann" : "usr_bob" }));
    const passed = (await Promise.all(asked)).map(({ status }, n) => [n % 2, status] as const).filter(([, status]) => status === 200);
    expect(passed.filter(([who]) => who === 0)).toHaveLength(3);
    expect(passed.filter(([who]) => who === 1)).toHaveLength(3);
  });

  it("D5: in money refuses a model without a price, or sets aside what the config says", async () => {
    const { definition } = quota({ everyone: ["$1/day"] });
    const call = exchange({ request: { max_tokens: 1_000 } });
    const setUp = async (options: object) => {
      const { scope, database } = fakeServices([bind(Catalogue, NO_CATALOGUE)]);
      const hooks = definition.setup(definition.options.parse(options), scope.inject(definition.inject ?? {}));
      await database.migrate(hooks.migrations ?? {});
      await hooks.start?.();
      running.push({ stop: async () => hooks.stop?.() });
      return async () => hooks.handle?.(call, async () => undefined);
    };
    const refusing = await setUp({ everyone: ["$1/day"] });
    await expect(refusing()).rejects.toMatchObject({
      code: "permission_denied",
      param: "model",
      message: expect.stringContaining("no known price"),
    });
    const dear = await setUp({ everyone: ["$1/day"], unknownPrice: { input: 1, output: 1_001 } });
    await expect(dear()).rejects.toMatchObject({ code: "insufficient_quota", retry: false });
    const cheap = await setUp({ everyone: ["$1/day"], unknownPrice: { input: 1, output: 900 } });
    await cheap();
  });

  it("takes nothing for a call that reached no provider", async () => {
    const cache = { name: "answers", handle: () => Promise.reject(new GatewayError("model_not_found")) };
    const gateway = await startGateway({
      providers: [simulator({ speed: 0 })],
      models: { fast: "simulator/sim-small" },
      plugins: [asCaller(), quota({ plans: { small: ["2 requests/day"] } }), cache],
    });
    running.push(gateway);
    for (let n = 0; n < 5; n++) expect((await ask(gateway.url, ROUTES["chat completions"])).status).toBe(404);
  });

  it("that does not cover the output asked for shortens it, where the config says so", async () => {
    const long = { ...ROUTES["chat completions"], body: { ...ROUTES["chat completions"].body, max_tokens: 5_000 } };
    const strict = await start({ plans: { small: ["1000 tokens/day"] } });
    expect((await ask(strict.url, long)).status).toBe(429);
    const lenient = await start({ plans: { small: ["1000 tokens/day"] }, clampOutput: true });
    expect((await ask(lenient.url, long)).status).toBe(200);
    const open = { ...long, body: { model: "fast", messages: long.body.messages } };
    expect((await ask(lenient.url, open, { "x-test-user": "usr_bob" })).status).toBe(200);
  });
});
