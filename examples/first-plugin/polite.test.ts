import { describePlugin, startGateway } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import config from "./gateway.config.ts";
import { polite } from "./polite.ts";

describePlugin("polite", polite, { options: { word: "hello" } });

describe("the first-plugin example", () => {
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  beforeAll(async () => {
    gateway = await startGateway(config);
  });
  afterAll(() => gateway.stop());

  const ask = (path: string, content: string) =>
    fetch(gateway.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "fast", max_tokens: 5, messages: [{ role: "user", content }] }),
    });

  it("refuses a chat without a please, in the client's own dialect", async () => {
    const openai = await ask("/v1/chat/completions", "Tell me a joke.");
    expect(openai.status).toBe(400);
    expect(await openai.json()).toEqual({
      error: { message: 'Say "please".', type: "invalid_request_error", param: "messages", code: "invalid_request" },
    });
    const anthropic = await ask("/v1/messages", "Tell me a joke.");
    expect(await anthropic.json()).toMatchObject({ type: "error", error: { type: "invalid_request_error", message: 'Say "please".' } });
  });

  it("answers the polite, and stamps when", async () => {
    const answer = await ask("/v1/chat/completions", "Tell me a joke, please.");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-polite-at")).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(await answer.json()).toMatchObject({ object: "chat.completion", usage: { completion_tokens: 5 } });
  });
});
