import { bind, Catalogue } from "headgate";
import { rateLimit } from "headgate/plugins";
import { openai } from "headgate/providers";
import { answerIn, describePlugin, gate, ScriptedUpstream } from "headgate/testing";
import { describe, expect, it, vi } from "vitest";
import { ask, passed, running, start } from "../../test/support/rate-rig.ts";

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
});
