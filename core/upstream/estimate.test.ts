import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import type { Outcome } from "../exchange.ts";
import { defineProvider } from "../provider.ts";
import { startGateway, type TestGateway } from "../testing/gateway.ts";
import { type Script, ScriptedUpstream } from "../testing/scripted-upstream.ts";
import { sse } from "../testing/scripts.ts";

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let settled: (outcome: Outcome) => void;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  const scripted = defineProvider({
    name: "scripted",
    options: z.strictObject({}),
    setup: () => ({ name: "scripted", dialect: "openai-chat", baseUrl: upstream.url, headers: () => ({}), models: [{ id: "m" }] }),
  });
  gateway = await startGateway({
    providers: [scripted()],
    plugins: [
      {
        name: "books",
        handle(exchange, next) {
          exchange.onSettled((outcome) => settled(outcome));
          return next();
        },
      },
    ],
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

async function outcomeOf(script: Script): Promise<Outcome> {
  const outcome = new Promise<Outcome>((resolve) => {
    settled = resolve;
  });
  upstream.always(script);
  const body = JSON.stringify({ model: "scripted/m", messages: [{ role: "user", content: "Hi" }], stream: true });
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.text();
  return outcome;
}

const content = 'data: {"choices":[{"index":0,"delta":{"content":"12345678"}}]}\n\n';
const done = "data: [DONE]\n\n";
const error = 'data: {"error":{"message":"no"}}\n\n';

it.each([
  ["whole, in one piece", "complete", [content + done]],
  ["whole, in two", "complete", [content, done]],
  ["broken off by an error in the same piece", "cut", [content + error]],
  ["broken off by an error in the next", "cut", [content, error]],
])("an answer without stated usage is billed by estimate: %s", async (_, kind, pieces) => {
  const usage = expect.objectContaining({ inputTokens: expect.any(Number), outputTokens: 2 });
  expect(await outcomeOf(sse(pieces))).toMatchObject({ kind, estimated: true, usage });
});

it("an answer of short tokens, one in each event, is billed for all of them", async () => {
  const digits = Array.from({ length: 9 }, (_, digit) => `data: {"choices":[{"index":0,"delta":{"content":"${digit}"}}]}\n\n`);
  const empty = 'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n';
  expect(await outcomeOf(sse([...digits, empty]))).toMatchObject({ kind: "cut", estimated: true, usage: { outputTokens: 9 } });
});

it("an answer that never began is not billed", async () => {
  expect(await outcomeOf(sse([error]))).toMatchObject({ kind: "failed", estimated: false, usage: null });
});
