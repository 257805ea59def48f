import { idempotency } from "headgate/plugins";
import { openai } from "headgate/providers";
import { answerIn, cut, describePlugin, gate, type Responder, ScriptedUpstream, startGateway } from "headgate/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { asCaller } from "../../test/support/caller.ts";
import { hasRedis, startRedis } from "../../test/support/redis.ts";

describePlugin("idempotency", idempotency, { exchange: { headers: { "idempotency-key": "one" } } });

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each.stop();
});

const ANSWER = answerIn("openai-chat", { text: "Only once" });

async function start(responder: Responder = ANSWER, redis?: string) {
  const upstream = await ScriptedUpstream.start();
  running.push({ stop: () => upstream.close() });
  upstream.always(responder);
  const open = async () => {
    const gateway = await startGateway({
      providers: [openai({ baseUrl: `${upstream.url}/v1`, apiKey: "k" })],
      models: { fast: "openai/gpt-5.4-mini" },
      ...(redis && { redis }),
      plugins: [asCaller(), idempotency()],
    });
    running.push(gateway);
    return gateway.url;
  };
  return { url: await open(), open, calls: () => upstream.calls.filter(({ method }) => method === "POST").length };
}

async function ask(
  url: string,
  {
    key = "k-1",
    text = "Hi",
    stream = false,
    user = "usr_ann",
    signal,
  }: { key?: string; text?: string; stream?: boolean; user?: string; signal?: AbortSignal } = {},
) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key, "x-test-user": user },
    body: JSON.stringify({ model: "fast", messages: [{ role: "user", content: text }], ...(stream && { stream }) }),
    ...(signal && { signal }),
  });
  return {
    status: response.status,
    replayed: response.headers.get("x-headgate-idempotent-replay") === "true",
    headers: response.headers,
    body: await response.text(),
  };
}

describe("D9: calls with the same key", () => {
  it("are one call when fifty come at once, and all get its answer", async () => {
    const { url, calls } = await start();
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(url)));
    expect(calls()).toBe(1);
    expect(new Set(answers.map(({ status, body }) => `${status} ${JSON.parse(body).choices[0].message.content}`))).toEqual(
      new Set(["200 Only once"]),
    );
    expect(answers.filter(({ replayed }) => replayed)).toHaveLength(49);
  });

  it("get the same answer later, streamed when the first was", async () => {
    const { url, calls } = await start();
    const first = await ask(url, { stream: true });
    const again = await ask(url, { stream: true });
    expect(calls()).toBe(1);
    expect(again.replayed).toBe(true);
    const text = (body: string) => [...body.matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece).join("");
    expect(text(again.body)).toBe(text(first.body));
    expect(again.body).toContain("data: [DONE]");
  });

  it("are told to wait while the first is being streamed", async () => {
    const hold = gate();
    const { url } = await start((call) => ({
      ...ANSWER(call),
      body: (async function* () {
        for (const step of ANSWER(call).body as Iterable<string>) {
          yield step;
          if (step.includes("Only")) yield hold;
        }
      })(),
    }));
    const first = ask(url, { stream: true });
    await vi.waitFor(async () => expect((await ask(url, { stream: true, key: "k-1" })).status).toBe(409));
    const { status, headers } = await ask(url, { stream: true });
    expect([status, headers.get("retry-after")]).toEqual([409, "1"]);
    hold.open();
    expect((await first).status).toBe(200);
    expect((await ask(url, { stream: true })).replayed).toBe(true);
  });

  it("are refused with another body, and are their callers' own", async () => {
    const { url, calls } = await start();
    expect((await ask(url)).status).toBe(200);
    const other = await ask(url, { text: "Something else" });
    expect([other.status, JSON.parse(other.body).error.code]).toEqual([422, "idempotency_mismatch"]);
    expect((await ask(url, { user: "usr_bob", text: "Something else" })).status).toBe(200);
    expect(calls()).toBe(2);
  });

  it("are tried anew after a failure, and after an answer that was cut", async () => {
    let failing = true;
    const { url, calls } = await start((call) => (failing ? { status: 500, body: '{"error":{"message":"no"}}' } : ANSWER(call)));
    expect((await ask(url)).status).toBeGreaterThanOrEqual(500);
    failing = false;
    expect((await ask(url)).status).toBe(200);
    expect(calls()).toBe(2);

    let cutting = true;
    const streamed = await start((call) => (cutting ? cut(ANSWER(call), { steps: 3 }) : ANSWER(call)));
    await ask(streamed.url, { stream: true }).catch(() => undefined);
    cutting = false;
    const again = await ask(streamed.url, { stream: true });
    expect([again.status, again.replayed]).toEqual([200, false]);
  });

  it("do not fail because the first one's client left", async () => {
    const hold = gate();
    const { url, calls } = await start((call) => ({ ...ANSWER(call), ...(calls() === 1 && { wait: hold }) }));
    const leaving = new AbortController();
    const first = ask(url, { signal: leaving.signal }).catch(() => undefined);
    await vi.waitFor(() => expect(calls()).toBe(1));
    const followers = Array.from({ length: 5 }, () => ask(url));
    await new Promise((resolve) => setTimeout(resolve, 50));
    leaving.abort();
    await first;
    expect((await Promise.all(followers)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(calls()).toBe(2);
    hold.open();
  });

  it.each(["a b", "\u00e9", "x".repeat(256)])("have to be plain: %j", async (key) => {
    const { url, calls } = await start();
    expect((await ask(url, { key })).status).toBe(400);
    expect(calls()).toBe(0);
  });

  it.each(["!", "~", "x".repeat(255)])("may be anything visible: %j", async (key) => {
    const { url } = await start();
    expect((await ask(url, { key })).status).toBe(200);
  });

  it("are the same whatever the order of their fields", async () => {
    const { url, calls } = await start();
    const bodies = [
      '{"model":"fast","messages":[{"role":"user","content":"Hi"}]}',
      '{"messages":[{"content":"Hi","role":"user"}],"model":"fast"}',
    ];
    for (const body of bodies) {
      const headers = { "content-type": "application/json", "idempotency-key": "k-1", "x-test-user": "usr_ann" };
      expect((await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body })).status).toBe(200);
    }
    expect(calls()).toBe(1);
  });

  it.skipIf(!hasRedis)("are answered by another instance on the same Redis", async () => {
    const server = await startRedis();
    running.push(server);
    const { url, open, calls } = await start(ANSWER, server.url);
    const other = await open();
    expect((await ask(url)).status).toBe(200);
    // It is there once it has been written, which the first one's client does not wait for.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await ask(other)).replayed).toBe(true);
    expect(calls()).toBe(1);
  });
});
