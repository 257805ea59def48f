import { type Answer, type AnswerDialect, framesIn, json, replyIn, type Script, sse } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectAnthropic, expectAnthropicStream, Message, TokenCount } from "../support/anthropic-schemas.ts";
import { expectOpenAi, expectOpenAiStream, hasSpec } from "../support/openai-spec.ts";
import {
  type AskOptions,
  CLIENTS,
  type Client,
  type Received,
  type RecordedGateway,
  startRecordedGateway,
} from "../support/recorded-gateway.ts";
import { eventsIn, said } from "../support/said.ts";

const PROVIDERS = [
  ["openai", "openai-chat"],
  ["anthropic", "anthropic-messages"],
  ["gemini", "gemini"],
  ["cohere", "cohere"],
] as const satisfies [string, AnswerDialect][];
type Provider = (typeof PROVIDERS)[number][0] | "simulator";

const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const wantsTools = {
  "openai-chat": { tools: [{ type: "function", function: { name: "weather", parameters: SCHEMA } }], tool_choice: "required" },
  "anthropic-messages": { tools: [{ name: "weather", input_schema: SCHEMA }], tool_choice: { type: "any" } },
};
const wantsJson = {
  "openai-chat": { response_format: { type: "json_schema", json_schema: { name: "place", schema: SCHEMA, strict: true } } },
  "anthropic-messages": { output_config: { format: { type: "json_schema", schema: SCHEMA } } },
};
const paris = { name: "weather", arguments: { city: "Paris" } };

/** What providers say, and what has to be asked for it. */
const ANSWERS: Readonly<Record<string, { readonly answer: Answer; readonly asked?: Readonly<Record<Client, object>> }>> = {
  text: { answer: { text: "Hello to you" } },
  "nothing at all": { answer: { text: [] } },
  "text and reasoning, much of it from a cache": {
    answer: { text: "42", reasoning: "Six times seven.", usage: { inputTokens: 900, cachedTokens: 800 } },
  },
  "parallel tool calls": { answer: { toolCalls: [paris, { ...paris, id: "call_b", arguments: {} }] }, asked: wantsTools },
  "reasoning, text and a tool call": { answer: { text: "I shall look.", reasoning: "Look!", toolCalls: [paris] }, asked: wantsTools },
  "JSON for a schema": { answer: { text: '{"city":"Paris"}' }, asked: wantsJson },
  "text up to the limit": { answer: { text: "Once upon a", finish: "length" } },
  "text that was filtered": { answer: { text: "I am", finish: "content_filter" } },
};

let gateway: RecordedGateway;
let rewriting: RecordedGateway;
beforeAll(async () => {
  gateway = await startRecordedGateway();
  rewriting = await startRecordedGateway({ rewrites: true });
});
afterAll(async () => {
  await gateway.stop();
  await rewriting.stop();
});

function expectValid(client: Client, { status, text }: Received, streamed: boolean, usage = true): void {
  expect(status, text).toBe(200);
  if (client === "openai-chat" && streamed) expectOpenAiStream(text, { usage });
  else if (client === "openai-chat") expectOpenAi("CreateChatCompletionResponse", JSON.parse(text));
  else if (streamed) expectAnthropicStream(text);
  else expectAnthropic(Message, JSON.parse(text));
}

const OpenAi = `OpenAI's description${hasSpec ? "" : " (not compared: ../shared/specs is absent)"}`;

describe(`answers that the gateway writes fit ${OpenAi} and the types of Anthropic's SDK`, () => {
  for (const [provider, dialect] of PROVIDERS) {
    for (const [what, { answer, asked }] of Object.entries(ANSWERS)) {
      if (provider === "cohere" && answer.finish === "content_filter") continue;
      it(`${provider}: ${what}`, async () => {
        for (const client of CLIENTS) {
          for (const through of client === dialect ? [rewriting] : [gateway, rewriting]) {
            for (const stream of [false, true]) {
              const script = stream ? sse(framesIn(dialect, answer)) : json(replyIn(dialect, answer));
              const received = await through.ask(client, provider, script, { stream, body: asked?.[client] ?? {} });
              expectValid(client, received, stream);
              const told = said(client, stream ? eventsIn(received.text) : [received.text]);
              expect(told.text).toBe([answer.text ?? ""].flat().join(""));
              expect(told.calls.map(({ args }) => JSON.parse(args || "{}"))).toEqual(
                (answer.toolCalls ?? []).map((call) => call.arguments),
              );
              expect(told.finish).toBe(answer.finish ?? (answer.toolCalls ? "tool_calls" : "stop"));
            }
          }
        }
      });
    }

    it(`${provider}: a stream whose client did not ask for usage`, async () => {
      const script = sse(framesIn(dialect, { text: "Hello to you" }));
      const received = await rewriting.ask("openai-chat", provider, script, { body: { stream: true } });
      expectValid("openai-chat", received, true, false);
    });
  }

  it.each([
    ["text", "sim-small", {}],
    ["reasoning", "sim-reasoner", {}],
    ["tool calls", "sim-small", wantsTools],
    ["JSON for a schema", "sim-small", wantsJson],
  ])("simulator: %s", async (_, model, asked) => {
    for (const client of CLIENTS) {
      const body = (asked as Partial<typeof wantsTools>)[client] ?? {};
      for (const stream of [false, true]) {
        for (const through of [gateway, rewriting]) {
          const received = await through.ask(client, "simulator", {}, { model, stream, body });
          expectValid(client, received, stream);
          const told = said(client, stream ? eventsIn(received.text) : [received.text]);
          expect(told.calls).toHaveLength("tools" in body ? 1 : 0);
        }
      }
    }
  });

  it("a count of tokens, for Anthropic's clients", async () => {
    for (const [provider, dialect] of PROVIDERS) {
      const script = json(dialect === "gemini" ? { totalTokens: 7 } : { input_tokens: 7 });
      const { text } = await rewriting.ask("anthropic-messages", provider, script, { path: "/v1/messages/count_tokens" });
      expectAnthropic(TokenCount, JSON.parse(text));
    }
  });

  it("simulator: several choices", async () => {
    for (const stream of [false, true]) {
      const received = await gateway.ask("openai-chat", "simulator", {}, { model: "sim-nano", stream, body: { n: 3 } });
      expectValid("openai-chat", received, stream);
      expect(new Set(received.text.match(/"index":\d/g))).toEqual(new Set(['"index":0', '"index":1', '"index":2']));
    }
  });
});

const token = { token: "Hi", logprob: -0.1, bytes: [72, 105], top_logprobs: [{ token: "Hi", logprob: -0.1, bytes: [72, 105] }] };
const chosen = {
  chosenCandidates: [{ token: "Hi", tokenId: 1, logProbability: -0.1 }],
  topCandidates: [{ candidates: [{ token: "Hi", tokenId: 1, logProbability: -0.1 }] }],
};
const openaiChunk = (choices: object[]) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices })}\n\n`;
const geminiFrame = (candidates: object[]) => `data: ${JSON.stringify({ candidates, usageMetadata: { promptTokenCount: 1 } })}\r\n\r\n`;
const geminiChoice = (index: number) => ({ index, content: { parts: [{ text: "Hi" }] }, finishReason: "STOP", logprobsResult: chosen });
const cohereFrames = (events: readonly object[]) => sse(events.map((event) => `data: ${JSON.stringify(event)}\n\n`));

/** By hand, because providers differ most here. */
const LOGPROBS: readonly (readonly [Provider, choices: number, whole: Script, streamed: Script])[] = [
  [
    "openai",
    2,
    json({
      id: "c",
      object: "chat.completion",
      created: 1,
      model: "m",
      choices: [0, 1].map((index) => ({
        index,
        message: { role: "assistant", content: "Hi" },
        logprobs: { content: [token], refusal: null },
        finish_reason: "stop",
      })),
    }),
    sse([
      ...[0, 1].map((index) =>
        openaiChunk([{ index, delta: { role: "assistant", content: "Hi" }, logprobs: { content: [token], refusal: null } }]),
      ),
      openaiChunk([0, 1].map((index) => ({ index, delta: {}, finish_reason: "stop" }))),
      "data: [DONE]\n\n",
    ]),
  ],
  ["gemini", 2, json({ candidates: [geminiChoice(0), geminiChoice(1)] }), sse([geminiFrame([geminiChoice(0), geminiChoice(1)])])],
  [
    "cohere",
    1,
    json({
      id: "c",
      finish_reason: "COMPLETE",
      message: { role: "assistant", content: [{ type: "text", text: "Hi" }] },
      logprobs: [{ token_ids: [1], text: "Hi", logprobs: [-0.1] }],
    }),
    cohereFrames([
      { type: "message-start", id: "c", delta: { message: { role: "assistant" } } },
      {
        type: "content-delta",
        index: 0,
        delta: { message: { content: { text: "Hi" } } },
        logprobs: { token_ids: [1], text: "Hi", logprobs: [-0.1] },
      },
      { type: "message-end", delta: { finish_reason: "COMPLETE" } },
    ]),
  ],
];

describe(`what only OpenAI's clients can ask for fits ${OpenAi}`, () => {
  it.each(LOGPROBS)("log probabilities and several choices from %s", async (provider, choices, whole, streamed) => {
    for (const stream of [false, true]) {
      const body = { logprobs: true, ...(choices > 1 && { n: choices }) };
      const received = await rewriting.ask("openai-chat", provider, stream ? streamed : whole, { stream, body });
      expectValid("openai-chat", received, stream);
      expect(received.text.match(/"logprobs":\{"content":\[\{"token":"Hi","logprob":-0.1,/g)).toHaveLength(choices);
    }
  });

  const embeddings = (options: AskOptions = {}): AskOptions => ({ path: "/v1/embeddings", body: { input: ["a", "b"] }, ...options });
  it.each<[Provider, Script, AskOptions]>([
    [
      "openai",
      json({
        object: "list",
        model: "m",
        data: [0, 1].map((index) => ({ object: "embedding", index, embedding: [0.5, 1] })),
        usage: { prompt_tokens: 2, total_tokens: 2 },
      }),
      embeddings(),
    ],
    ["gemini", json({ embeddings: [{ values: [0.5, 1] }, { values: [0.5, 1] }] }), embeddings()],
    [
      "cohere",
      json({
        id: "e",
        embeddings: {
          float: [
            [0.5, 1],
            [0.5, 1],
          ],
        },
        meta: { billed_units: { input_tokens: 2 } },
      }),
      embeddings(),
    ],
    ["simulator", {}, embeddings({ model: "sim-embed" })],
  ])("embeddings from %s", async (provider, script, options) => {
    for (const through of [gateway, rewriting]) {
      const { text } = await through.ask("openai-chat", provider, script, options);
      const body = JSON.parse(text) as { data: unknown[] };
      expectOpenAi("CreateEmbeddingResponse", body);
      expect(body.data).toHaveLength(2);
    }
  });

  it("the list of models", async () => {
    const body = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: unknown[] };
    expectOpenAi("ListModelsResponse", body);
    expect(body.data.length).toBeGreaterThan(3);
  });
});
