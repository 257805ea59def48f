import { definePlugin } from "headgate";
import { metrics, rateLimit } from "headgate/plugins";
import { answerIn, cut, forever, json, type Script, ScriptedUpstream, silence, startGateway } from "headgate/testing";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { type Asking, ask } from "../../test/support/rate-rig.ts";
import { failover, provider } from "../../test/support/scripted-provider.ts";

const TIMES = 200;

const faulty = definePlugin({
  name: "faulty",
  options: z.strictObject({}),
  setup: () => ({
    handle(exchange, next) {
      if (exchange.client.headers["x-fault"] === "throw") throw new Error("a fault");
      return next();
    },
  }),
});

const answer = answerIn("openai-chat", { text: "Yes, all of it" });
type Call = Parameters<typeof answer>[0];

function* hanging(call: Call) {
  yield* [...(answer(call).body as Iterable<string>)].slice(0, 2);
  yield forever();
}

let tries = 0;
/** What the provider does with a call, by its text. */
const SCRIPTS: Readonly<Record<string, (call: Call) => Script>> = {
  broken: () => json({ error: { message: "no" } }, { status: 500 }),
  silent: silence,
  hanging: (call) => ({ ...answer(call), body: hanging(call) }),
  cutting: (call) => cut(answer(call), { steps: 2 }),
  again: () => (++tries % 2 === 1 ? json({ error: { message: "no" } }, { status: 500 }) : silence()),
};

let url = "";
beforeAll(async () => {
  const upstream = await ScriptedUpstream.start();
  upstream.always((call) => {
    const [text = ""] = Object.keys(SCRIPTS).filter((name) => call.body.includes(`"${name}"`));
    return (SCRIPTS[text] ?? answer)(call);
  });
  const gateway = await startGateway({
    upstream: { firstContentMs: 25 },
    providers: [provider("openai-chat", upstream.url)],
    models: { fast: "openai-chat/m", twice: ["openai-chat/m", "openai-chat/m"] },
    plugins: [metrics(), rateLimit({ limits: ["100000 requests/hour", "1 in flight per ip", "900M tokens/hour"] }), faulty(), failover()],
  });
  url = gateway.url;
  return async () => {
    await gateway.stop();
    await upstream.close();
  };
});

const saying = (text: string, more: object = {}): Asking => ({ body: { messages: [{ role: "user", content: text }], ...more } });

async function leaving(ms: number, asking: Asking): Promise<void> {
  const controller = new AbortController();
  const call = ask(url, { ...asking, signal: controller.signal }).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, ms));
  controller.abort();
  await call;
}

async function inFlight(): Promise<number> {
  const [, value] = /^headgate_rate_limit_in_flight (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text()) ?? [];
  return Number(value);
}

/** The place may be free only once the server has heard that the client left. */
async function expectFree(): Promise<void> {
  if ((await ask(url)).status === 200) return;
  await vi.waitFor(async () => expect((await ask(url)).status).toBe(200), { timeout: 2_000, interval: 2 });
}

/** Ways in which a call can end. */
const EXITS: readonly (readonly [name: string, end: () => Promise<unknown>])[] = [
  ["a whole answer", () => ask(url)],
  ["a whole stream", () => ask(url, { body: { stream: true } })],
  ["a request that is not valid", () => ask(url, { body: { messages: [] } })],
  ["a model that is not there", () => ask(url, { body: { model: "nope/none" } })],
  ["a plugin that throws", () => ask(url, { headers: { "x-fault": "throw" } })],
  ["a provider that fails", () => ask(url, saying("broken"))],
  ["a provider that does not answer in time", () => ask(url, saying("silent"))],
  ["an answer that breaks off", () => ask(url, saying("cutting", { stream: true })).catch(() => undefined)],
  ["a client that leaves before the answer", () => leaving(4, saying("silent"))],
  ["a client that leaves in the middle of the answer", () => leaving(6, saying("hanging", { stream: true }))],
  ["a client that leaves in the second of two tries", () => leaving(8, saying("again", { model: "twice" }))],
];

describe("C10: a place in flight", () => {
  it.each(EXITS)(`is free again after %s, ${TIMES} times over`, { timeout: 60_000 }, async (_, end) => {
    for (let n = 0; n < TIMES; n++) {
      await end();
      await expectFree();
    }
    expect(await inFlight()).toBe(0);
  });

  it("C11: is given back once when the client leaves as the answer ends, 300 times over", { timeout: 60_000 }, async () => {
    for (let n = 0; n < 300; n++) await leaving((n % 11) / 2, { body: { stream: n % 2 === 0 } });
    await vi.waitFor(async () => expect(await inFlight()).toBe(0), { timeout: 2_000, interval: 10 });
    await expectFree();
    // None was given back twice: there is one place, not two.
    const held = leaving(1_000, saying("hanging", { stream: true }));
    await vi.waitFor(async () => expect(await inFlight()).toBe(1), { timeout: 900, interval: 5 });
    expect((await ask(url)).status).toBe(429);
    await held;
  });
});
