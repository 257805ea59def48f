import { describe, expect, it } from "vitest";
import { hasRecordings, recordedBody } from "../../test/support/recordings.ts";
import type { ChatReply, ChatRequest, JsonObject, Message } from "./canonical.ts";
import { cohere } from "./cohere.ts";
import type { UpstreamDialect } from "./dialect.ts";

const upstream = cohere.upstream as UpstreamDialect;
const asked: ChatRequest = { model: "alias", messages: [] };

function read(body: JsonObject): ChatReply {
  return upstream.readReply("chat", body, asked) as ChatReply;
}

const usage = {
  billed_units: { input_tokens: 12, output_tokens: 7 },
  tokens: { input_tokens: 507, output_tokens: 10 },
  cached_tokens: 448,
};

describe("a whole answer of Cohere", () => {
  it("keeps text, thinking, plan and calls apart", () => {
    const body = {
      id: "m1",
      finish_reason: "TOOL_CALL",
      message: {
        role: "assistant",
        tool_plan: "I will look. ",
        content: [
          { type: "thinking", thinking: "hm" },
          { type: "text", text: "Hel" },
          { type: "text", text: "lo" },
        ],
        tool_calls: [
          { id: "a", type: "function", function: { name: "f", arguments: '{"x":1}' } },
          { id: "b", type: "function", function: { name: "g", arguments: "" } },
        ],
        citations: [{ start: 0, end: 1, text: "H" }],
      },
      usage,
    };
    expect(read(body)).toMatchObject({
      id: "m1",
      model: "alias",
      choices: [
        {
          index: 0,
          finish_reason: "tool_calls",
          message: {
            content: "Hello",
            reasoning_content: "I will look. hm",
            tool_calls: [
              { id: "a", type: "function", function: { name: "f", arguments: '{"x":1}' } },
              { id: "b", type: "function", function: { name: "g", arguments: "{}" } },
            ],
          },
        },
      ],
      usage: { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19 },
    });
  });

  it("gives a plan back as a plan", () => {
    const calls = [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }];
    const { choices } = read({ finish_reason: "TOOL_CALL", message: { tool_plan: "I will look.", tool_calls: calls } });
    const message = choices[0]?.message as Message;
    expect(upstream.writeRequest("chat", { model: "m", messages: [message] }, "m").body.messages).toEqual([
      { role: "assistant", content: undefined, tool_plan: "I will look.", tool_calls: calls },
    ]);
  });

  it.each([
    ["COMPLETE", "stop"],
    ["STOP_SEQUENCE", "stop"],
    ["MAX_TOKENS", "length"],
    ["TOOL_CALL", "tool_calls"],
  ])("that ended with %s ended with %s", (reason, finish) => {
    expect(read({ finish_reason: reason, message: { content: [] } }).choices[0]?.finish_reason).toBe(finish);
  });

  it.each(["ERROR", "TIMEOUT", "toString", null])("that ended with %s is a failure", (reason) => {
    expect(() => read({ finish_reason: reason, message: {} })).toThrow(expect.objectContaining({ code: "upstream_failed" }));
  });

  it("states the probability of a piece of text as its tokens' together", () => {
    const logprobs = [{ text: "é", token_ids: [1, 2], logprobs: [-0.5, -0.25] }];
    expect(read({ finish_reason: "COMPLETE", message: { content: [{ type: "text", text: "é" }] }, logprobs }).choices[0]?.logprobs).toEqual(
      {
        content: [{ token: "é", logprob: -0.75, bytes: [0xc3, 0xa9], top_logprobs: [] }],
        refusal: null,
      },
    );
  });

  it.each([{}, { message: "x" }, { finish_reason: "COMPLETE", message: { tool_calls: [{ id: "a" }] } }])(
    "that is none is invalid: %j",
    (body) => {
      expect(() => read(body)).toThrow(expect.objectContaining({ code: "upstream_invalid" }));
    },
  );
});

describe("usage", () => {
  it("is what is billed, and else what the model saw", () => {
    expect(upstream.readUsage("chat", { usage })).toMatchObject({ inputTokens: 12, outputTokens: 7, cachedTokens: 0 });
    const { billed_units: _, ...unbilled } = usage;
    expect(upstream.readUsage("chat", { usage: unbilled })).toMatchObject({ inputTokens: 507, outputTokens: 10, cachedTokens: 448 });
  });

  it.each([
    {},
    { usage: 4 },
    { usage: {} },
    { usage: { billed_units: { input_tokens: -1, output_tokens: 4 } } },
    { usage: { billed_units: { input_tokens: 1e12, output_tokens: 4 } } },
    { usage: { tokens: { input_tokens: 3, output_tokens: "4" } } },
  ])("that is nonsense is none: %j", (body) => {
    expect(upstream.readUsage("chat", body)).toBeNull();
  });
});

describe("errors", () => {
  it("are read with their message; anything else is nothing", () => {
    expect(upstream.readError(400, { message: "invalid request: no model" })).toEqual({ message: "invalid request: no model" });
    for (const body of [null, "<html>", [], { message: 4 }]) expect(upstream.readError(500, body)).toEqual({});
  });
});

describe.skipIf(!hasRecordings)("recorded answers", () => {
  it("read right, with their usage", () => {
    expect(read(recordedBody("cohere/main/cohere-text.json"))).toMatchObject({
      choices: [{ message: { content: "The capital of France is Paris." }, finish_reason: "stop" }],
      usage: { prompt_tokens: 12, completion_tokens: 7 },
    });
    expect(read(recordedBody("cohere/main/cohere-tool-call.json"))).toMatchObject({
      choices: [
        {
          finish_reason: "tool_calls",
          message: {
            content: null,
            reasoning_content: expect.stringMatching(/^I will use the weather tool/),
            tool_calls: [
              { id: "weather_dqgshstja6p9", function: { name: "weather", arguments: '{"location":"San Francisco"}' } },
              { id: "cityAttractions_dcxfx4myvx68", function: { name: "cityAttractions", arguments: '{"city":"San Francisco"}' } },
            ],
          },
        },
      ],
      usage: { prompt_tokens: 119, completion_tokens: 52 },
    });
  });
});
