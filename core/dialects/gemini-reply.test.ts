import { describe, expect, it } from "vitest";
import { cassette, hasRecordings, recordedBody } from "../../test/support/recordings.ts";
import { GatewayError } from "../errors.ts";
import type { ChatReply, ChatRequest, JsonObject, Message } from "./canonical.ts";
import type { UpstreamDialect } from "./dialect.ts";
import { gemini } from "./gemini.ts";

const upstream = gemini.upstream as UpstreamDialect;
const asked: ChatRequest = { model: "alias", messages: [] };

function read(body: JsonObject): ChatReply {
  return upstream.readReply("chat", body, asked) as ChatReply;
}

function candidate(parts: JsonObject[], finishReason = "STOP", index = 0): JsonObject {
  return { content: { role: "model", parts }, finishReason, index };
}

describe("a whole answer of Gemini", () => {
  it("keeps text, thoughts and calls apart", () => {
    const parts = [
      { text: "hm, ", thought: true },
      { text: "well", thought: true },
      { text: "Hel" },
      { text: "lo", thoughtSignature: "ignored" },
      { functionCall: { name: "f", args: { a: [1] } }, thoughtSignature: "SIG" },
      { functionCall: { id: "own", name: "g" } },
      { executableCode: { code: "1" } },
    ];
    const body = { candidates: [candidate(parts)], responseId: "r1", modelVersion: "gemini-2.5-pro-001" };
    expect(read(body)).toMatchObject({
      id: "r1",
      object: "chat.completion",
      model: "gemini-2.5-pro-001",
      choices: [
        {
          index: 0,
          finish_reason: "tool_calls",
          message: {
            role: "assistant",
            content: "Hello",
            reasoning_content: "hm, well",
            tool_calls: [
              {
                id: expect.stringMatching(/^call_\w+$/),
                type: "function",
                function: { name: "f", arguments: '{"a":[1]}' },
                extra_content: { google: { thought_signature: "SIG" } },
              },
              { id: "own", type: "function", function: { name: "g", arguments: "{}" } },
            ],
          },
        },
      ],
    });
  });

  it("gives back a call so that Gemini gets its signature again", () => {
    const { choices } = read({ candidates: [candidate([{ functionCall: { name: "f", args: { a: 1 } }, thoughtSignature: "SIG" }])] });
    const message = choices[0]?.message as Message;
    const { body } = upstream.writeRequest("chat", { model: "alias", messages: [message] }, "gemini-3-pro");
    expect(body.contents).toMatchObject([
      { role: "model", parts: [{ functionCall: { name: "f", args: { a: 1 } }, thoughtSignature: "SIG" }] },
    ]);
  });

  it.each([
    ["STOP", "stop"],
    ["MAX_TOKENS", "length"],
    ["SAFETY", "content_filter"],
    ["RECITATION", "content_filter"],
    ["PROHIBITED_CONTENT", "content_filter"],
    ["SPII", "content_filter"],
  ])("that ended with %s ended with %s", (reason, finish) => {
    expect(read({ candidates: [candidate([{ text: "x" }], reason)] }).choices[0]?.finish_reason).toBe(finish);
  });

  it.each(["MALFORMED_FUNCTION_CALL", "OTHER", "__proto__"])("that ended with %s is a failure", (reason) => {
    expect(() => read({ candidates: [candidate([], reason)] })).toThrow(expect.objectContaining({ code: "upstream_failed" }));
  });

  it("to a blocked prompt is filtered", () => {
    const body = { promptFeedback: { blockReason: "PROHIBITED_CONTENT" }, usageMetadata: { promptTokenCount: 9 } };
    expect(read(body)).toMatchObject({
      choices: [{ message: { content: null }, finish_reason: "content_filter" }],
      usage: { prompt_tokens: 9, completion_tokens: 0 },
    });
  });

  it("may have several candidates", () => {
    const { choices } = read({ candidates: [candidate([{ text: "a" }]), { ...candidate([{ text: "b" }]), index: 1 }] });
    expect(choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, "a"],
      [1, "b"],
    ]);
  });

  it("states log probabilities as OpenAI does", () => {
    const logprobsResult = {
      chosenCandidates: [{ token: "é", logProbability: -0.5 }],
      topCandidates: [{ candidates: [{ token: "e", logProbability: -1 }] }],
    };
    expect(read({ candidates: [{ ...candidate([{ text: "é" }]), logprobsResult }] }).choices[0]?.logprobs).toEqual({
      content: [{ token: "é", logprob: -0.5, bytes: [0xc3, 0xa9], top_logprobs: [{ token: "e", logprob: -1, bytes: [0x65] }] }],
      refusal: null,
    });
  });

  it.each([{}, { candidates: [] }, { candidates: "x" }, { candidates: [candidate([{ functionCall: { name: 4 } }])] }])(
    "that is none is invalid: %j",
    (body) => {
      expect(() => read(body)).toThrow(expect.objectContaining({ code: "upstream_invalid" }));
    },
  );

  it("with arguments too deep to write again is invalid", () => {
    const args = JSON.parse(`${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`);
    expect(() => read({ candidates: [candidate([{ functionCall: { name: "f", args } }])] })).toThrow(GatewayError);
  });
});

describe("usage", () => {
  it("counts thoughts as output and what tools brought as input", () => {
    const usageMetadata = {
      promptTokenCount: 32,
      toolUsePromptTokenCount: 100,
      candidatesTokenCount: 25,
      thoughtsTokenCount: 37,
      cachedContentTokenCount: 30,
    };
    expect(upstream.readUsage("chat", { usageMetadata })).toEqual({
      inputTokens: 132,
      outputTokens: 62,
      cachedTokens: 30,
      cacheWriteTokens: 0,
      reasoningTokens: 37,
    });
  });

  it.each([
    {},
    { usageMetadata: null },
    { usageMetadata: { trafficType: "ON_DEMAND" } },
    { usageMetadata: { promptTokenCount: -1, candidatesTokenCount: 4 } },
    { usageMetadata: { promptTokenCount: 4, candidatesTokenCount: 1e12 } },
    { usageMetadata: { promptTokenCount: "4", candidatesTokenCount: 4 } },
    { usageMetadata: { promptTokenCount: 4, candidatesTokenCount: Number.NaN } },
  ])("that is nonsense is none: %j", (body) => {
    expect(upstream.readUsage("chat", body)).toBeNull();
  });
});

describe("errors", () => {
  const error = { code: 400, message: "API key not valid.", status: "INVALID_ARGUMENT" };

  it("are read with their reason and field, bare or in a list", () => {
    const details = [{ reason: "API_KEY_INVALID" }, { fieldViolations: [{ field: "contents" }] }];
    const expected = { message: "API key not valid.", type: "INVALID_ARGUMENT", code: "API_KEY_INVALID", param: "contents" };
    expect(upstream.readError(400, { error: { ...error, details } })).toEqual(expected);
    expect(upstream.readError(400, [{ error: { ...error, details } }])).toEqual(expected);
  });

  it.each([null, "<html>", [], {}, { error: "x" }, { error: { message: 4, details: [null, 3] } }])("may be anything: %j", (body) => {
    expect(upstream.readError(500, body)).toEqual({});
  });
});

describe.skipIf(!hasRecordings)("recorded answers", () => {
  it("read right, with their usage", () => {
    const body = recordedBody("google/main/google-text.json");
    expect(read(body)).toMatchObject({
      choices: [
        { message: { content: "There are **3** r's in strawberry.\n\nHere is the breakdown: st**r**awbe**rr**y." }, finish_reason: "stop" },
      ],
      usage: { prompt_tokens: 9, completion_tokens: 272, total_tokens: 281, completion_tokens_details: { reasoning_tokens: 244 } },
    });
  });

  it.each([
    "test_google_model_retry.yaml",
    "test_google_model_file_search_tool.yaml",
    "test_google_model_web_search_tool.yaml",
    "test_google_prompted_output_with_tools.yaml",
    "test_google_tool_config_any_with_tool_without_args.yaml",
  ])("%s reads whole", (path) => {
    const bodies = cassette(`google/${path}`).flatMap(({ url, json }) => (url.endsWith(":generateContent") && json ? [json] : []));
    expect(bodies.length).toBeGreaterThan(0);
    for (const body of bodies) {
      const { choices, usage } = read(body);
      const { message, finish_reason: finish } = choices[0] ?? {};
      expect(finish).toBe(message?.tool_calls ? "tool_calls" : "stop");
      expect(message?.content ?? message?.tool_calls).toBeTruthy();
      expect(usage?.total_tokens).toBe((body.usageMetadata as JsonObject).totalTokenCount);
    }
  });
});
