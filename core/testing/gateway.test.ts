import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { defineProvider } from "../provider.ts";
import { answerIn } from "./answers.ts";
import { startGateway, type TestGateway } from "./gateway.ts";
import { ScriptedUpstream } from "./scripted-upstream.ts";
import { gate, sse } from "./scripts.ts";

let upstream: ScriptedUpstream;
let gateway: TestGateway;

beforeEach(async () => {
  upstream = await ScriptedUpstream.start();
  const scripted = defineProvider({
    name: "scripted",
    options: z.strictObject({}),
    setup: () => ({ name: "scripted", dialect: "openai-chat", baseUrl: upstream.url, headers: () => ({}), models: [{ id: "m" }] }),
  });
  gateway = await startGateway({ providers: [scripted()], plugins: [] });
});
afterEach(async () => {
  await gateway.stop();
  await upstream.close();
});

const post = (body: object, signal?: AbortSignal) =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "scripted/m", messages: [{ role: "user", content: "Hi" }], ...body }),
    signal: signal ?? null,
  });

it("boots a gateway on a free port that asks the scripted upstream, and stops it whole", async () => {
  upstream.always(answerIn("openai-chat", { text: "Hello to you" }));
  expect(await (await post({})).json()).toMatchObject({ choices: [{ message: { content: "Hello to you" } }] });
  expect(await (await post({ stream: true })).text()).toMatch(/"content":" you"[\s\S]*data: \[DONE\]\n\n$/);
  expect(upstream.calls.map(({ outcome }) => outcome)).toEqual(["whole", "whole"]);
  await gateway.stop();
  await expect(post({})).rejects.toThrow();
});

it("shows when the gateway let go of the upstream", async () => {
  upstream.next(sse(['data: {"choices":[{"index":0,"delta":{"content":"One"}}]}\n\n', gate()]));
  const controller = new AbortController();
  const response = await post({ stream: true }, controller.signal);
  await response.body?.getReader().read();
  controller.abort();
  expect(await (await upstream.call(0)).closed).toBe("gone");
});
