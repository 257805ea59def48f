import { bind, Catalogue, Clock, resolveConfig } from "headgate";
import { rateLimit } from "headgate/plugins";
import { openai } from "headgate/providers";
import { answerIn, describePlugin, FakeClock, gate, ScriptedUpstream, startGateway } from "headgate/testing";
import { describe, expect, it, vi } from "vitest";
import { ask, limited, passed, running, start } from "../../test/support/rate-rig.ts";

const catalogue: Catalogue = {
  resolve: () => [],
  aliases: () => ["fast"],
  providers: () => [],
  models: () => [],
  find: () => undefined,
  cost: () => null,
  start() {},
  stop() {},
};

describePlugin("rate-limit", rateLimit, {
  options: { limits: ["100/minute", "100000 tokens/minute", "10 in flight"] },
  services: () => [bind(Catalogue, catalogue)],
});

describe("a caller over a limit", () => {
  it("reads which one, and when to come again", async () => {
    const { url } = await start(["2 requests/hour per user"]);
    expect(await passed([url], 5)).toBe(2);
    const { status, headers, text } = await ask(url);
    expect(status).toBe(429);
    expect(JSON.parse(text).error).toMatchObject({
      code: "rate_limited",
      type: "rate_limit_error",
      message: expect.stringContaining("2 requests/hour per user"),
    });
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    expect(headers.get("x-ratelimit-remaining-requests")).toBe("0");
  });

  it("leaves others alone", async () => {
    const { url } = await start(["1 requests/hour per user"]);
    expect(await passed([url], 3)).toBe(1);
    expect((await ask(url, { headers: { "x-test-user": "usr_bob" } })).status).toBe(200);
  });

  it("D3: has not used up the limits before the one that refused", async () => {
    const upstream = await ScriptedUpstream.start();
    running.push({ stop: () => upstream.close() });
    const hold = gate();
    const whole = answerIn("openai-chat", { text: "Yes" });
    const posts = () => upstream.calls.filter(({ method }) => method === "POST").length;
    upstream.always((call) => ({ ...whole(call), ...(posts() === 1 && { wait: hold }) }));
    const { url } = await start(["2 requests/hour", "1 in flight"], {
      providers: [openai({ baseUrl: `${upstream.url}/v1`, apiKey: "k" })],
      models: { fast: "openai/gpt-5.4-mini" },
    });
    const first = ask(url);
    await vi.waitFor(() => expect(posts()).toBe(1));
    for (let n = 0; n < 5; n++) expect((await ask(url)).status).toBe(429);
    hold.open();
    expect((await first).status).toBe(200);
    expect((await ask(url)).status).toBe(200);
    expect((await ask(url)).status).toBe(429);
  });

  it("reads limits as its own SDK does", async () => {
    const { url } = await start(["10/minute", "1000000 tokens/hour"]);
    const openAi = await ask(url);
    expect(openAi.headers.get("x-ratelimit-limit-requests")).toBe("10");
    expect(openAi.headers.get("x-ratelimit-remaining-requests")).toBe("9");
    expect(openAi.headers.get("x-ratelimit-reset-requests")).toMatch(/^1m\d+s$/);
    expect(openAi.headers.get("x-ratelimit-limit-tokens")).toBe("1000000");
    const anthropic = await ask(url, { path: "/v1/messages" });
    expect(anthropic.headers.get("anthropic-ratelimit-requests-limit")).toBe("10");
    expect(Date.parse(anthropic.headers.get("anthropic-ratelimit-requests-reset") as string)).toBeGreaterThan(Date.now());
  });

  it("has tokens counted as they were used, once the call has ended", async () => {
    const { url } = await start(["100000 tokens/hour"]);
    const remaining = async () => Number((await ask(url, { body: { max_tokens: 15_000 } })).headers.get("x-ratelimit-remaining-tokens"));
    const first = await remaining();
    expect(first).toBeLessThan(86_000);
    expect(await remaining()).toBeGreaterThan(first - 500);
  });

  it("may send a picture: its bytes are not its tokens", async () => {
    const { url } = await start(["20000 tokens/minute"]);
    const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(1_200_000)}` } };
    const { status, headers } = await ask(url, {
      body: { messages: [{ role: "user", content: [{ type: "text", text: "What?" }, picture] }] },
    });
    expect(status).toBe(200);
    expect(Number(headers.get("x-ratelimit-remaining-tokens"))).toBeGreaterThan(18_000);
  });

  it("is told when a call can never fit, and not to try again", async () => {
    const { url } = await start(["5 requests/hour", "1000 tokens/minute"]);
    const { status, headers, text } = await ask(url, { body: { max_tokens: 2_000 } });
    expect(status).toBe(429);
    expect(JSON.parse(text).error.message).toMatch(/about 2,0\d\d tokens, more than the limit of 1,000 tokens\/minute per key ever allows/);
    expect([headers.get("x-should-retry"), headers.get("retry-after")]).toEqual(["false", null]);
    expect((await ask(url)).headers.get("x-ratelimit-remaining-requests")).toBe("4");
  });

  it("has the usual output of a model set aside where a call states none, and never more than all there is", async () => {
    const { url } = await start(["1000 tokens/minute"]);
    const unstated = { body: { max_tokens: undefined } };
    const first = await ask(url, unstated);
    expect([first.status, first.headers.get("x-ratelimit-remaining-tokens")]).toEqual([200, "0"]);
    const second = await ask(url, unstated);
    expect(second.status).toBe(200);
    expect(Number(second.headers.get("x-ratelimit-remaining-tokens"))).toBeGreaterThan(0);
  });

  it.each([true, false])("D2: at 100 tokens a minute five at once get no more than that (told the output: %s)", async (told) => {
    const upstream = await ScriptedUpstream.start();
    running.push({ stop: () => upstream.close() });
    const hold = gate();
    const [inputTokens, outputTokens] = [8, 50];
    const whole = answerIn("openai-chat", { text: "Yes", usage: { inputTokens, outputTokens } });
    upstream.always((call) => ({ ...whole(call), ...(call.method === "POST" && { wait: hold }) }));
    const { url } = await start(["100 tokens/minute"], {
      providers: [openai({ baseUrl: `${upstream.url}/v1`, apiKey: "k" })],
      models: { fast: "openai/gpt-5.4-mini" },
    });
    const calls = Array.from({ length: 5 }, () => ask(url, { body: { max_tokens: told ? 50 : undefined } }));
    await vi.waitFor(() => expect(upstream.calls.some(({ method }) => method === "POST")).toBe(true));
    hold.open();
    const admitted = (await Promise.all(calls)).filter(({ status }) => status === 200).length;
    expect(admitted).toBe(1);
    // What it took is counted: another fits once, and after that none.
    const more = [];
    for (let n = 0; n < 3; n++) more.push((await ask(url, { body: { max_tokens: 20 } })).status);
    expect(more.filter((status) => status === 200).length).toBe(1);
  });

  it("D13: is not another by an `X-Forwarded-For` of its own making", async () => {
    const { url } = await start(["3 requests/hour per ip"]);
    let admitted = 0;
    for (let n = 0; n < 1_000; n++) {
      const { status } = await ask(url, { headers: { "x-forwarded-for": `10.0.${n >> 8}.${n & 255}`, "x-test-user": `usr_${n}` } });
      if (status === 200) admitted += 1;
    }
    expect(admitted).toBe(3);
  });

  it("D13: is known by what the proxies of the house added, whatever stands left of it", async () => {
    const { url } = await start(["3 requests/hour per ip"], { server: { trustedHops: 2 } });
    const from = async (header: string) => (await ask(url, { headers: { "x-forwarded-for": header } })).status;
    for (let n = 0; n < 20; n++) expect(await from(`1.1.1.${n}, 203.0.113.7, 10.0.0.1`)).toBe(n < 3 ? 200 : 429);
    expect(await from("203.0.113.7, 203.0.113.8:4711, 10.0.0.1")).toBe(200);
    expect(await from("[2001:db8::1]:443, 10.0.0.1")).toBe(200);
    // What came over fewer, or says nonsense, counts with its connection.
    const odd = ["203.0.113.9", "nobody, 10.0.0.1", ""];
    for (const header of odd) expect(await from(header)).toBe(200);
    for (const header of odd) expect(await from(header)).toBe(429);
  });

  it("D12: is held to its window by a clock that no administrator sets", async () => {
    const clock = new FakeClock();
    const gateway = await startGateway(limited(["2 requests/hour"]), [bind(Clock, clock)]);
    running.push({ stop: () => clock.runUntil(gateway.stop()) });
    expect(await passed([gateway.url], 2)).toBe(2);
    for (const hours of [1, -2, 1]) {
      clock.shiftWall(hours * 3_600_000);
      const { status, headers } = await ask(gateway.url, { path: "/v1/messages" });
      expect(status).toBe(429);
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
      expect(Date.parse(headers.get("anthropic-ratelimit-requests-reset") as string)).toBeGreaterThan(clock.now().getTime());
    }
    await clock.advance(3_600_000 * (17 / 16));
    expect(await passed([gateway.url], 3)).toBe(2);
  });

  it("is counted on over a reload, and calls under way keep their places", async () => {
    const upstream = await ScriptedUpstream.start();
    running.push({ stop: () => upstream.close() });
    const hold = gate();
    const whole = answerIn("openai-chat", { text: "Yes" });
    upstream.always((call) => ({ ...whole(call), ...(call.body.includes("hold") && { wait: hold }) }));
    const config = limited(["3 requests/hour", "1 in flight"], {
      providers: [openai({ baseUrl: `${upstream.url}/v1`, apiKey: "k" })],
      models: { fast: "openai/gpt-5.4-mini" },
      log: { level: "silent" },
    });
    const { url, gateway, stop } = await startGateway(config);
    running.push({ stop });
    const first = ask(url, { body: { messages: [{ role: "user", content: "hold" }] } });
    await vi.waitFor(() => expect(upstream.calls.filter(({ method }) => method === "POST")).toHaveLength(1));
    await gateway.reload(resolveConfig(config));
    expect((await ask(url)).text).toContain("1 in flight per key");
    hold.open();
    expect((await first).status).toBe(200);
    for (let n = 0; n < 2; n++) expect((await ask(url)).status).toBe(200);
    expect((await ask(url)).text).toContain("3 requests/hour per key");
  });
});

describe("a limit of a plan", () => {
  it("that counts the same as one for all is one with it, and the stricter holds", async () => {
    const { url } = await start(
      ["4 requests/hour per user"],
      {},
      { plans: { small: ["4 requests/hour per user"], tiny: ["2/hour per user"] } },
    );
    expect(await passed([url], 8)).toBe(4);
    const tiny = { headers: { "x-test-user": "usr_tiny", "x-test-plan": "tiny" } };
    const statuses = [];
    for (let n = 0; n < 4; n++) statuses.push((await ask(url, tiny)).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
  });
});
