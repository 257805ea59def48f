import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chatRequests, embeddingsRequests } from "../../test/support/arbitrary-request.ts";
import { GatewayError } from "../errors.ts";
import type { ChatRequest, EmbeddingsReply, JsonObject, Message, ToolCall } from "./canonical.ts";
import { cohere } from "./cohere.ts";
import type { UpstreamDialect } from "./dialect.ts";

const upstream = cohere.upstream as UpstreamDialect;
const MODEL = "command-a-03-2025";

function write(request: Partial<ChatRequest>) {
  return upstream.writeRequest("chat", { model: "alias", messages: [{ role: "user", content: "hi" }], ...request }, MODEL);
}

/** The body as it is sent. */
function sent(request: Partial<ChatRequest>): JsonObject {
  return JSON.parse(JSON.stringify(write(request).body));
}

function refusal(run: () => unknown): string | null {
  try {
    run();
  } catch (error) {
    if (error instanceof GatewayError && error.code === "unsupported_parameter") return error.param;
    throw error;
  }
  throw new Error("nothing was refused");
}

const call = (id: string, name: string, args = "{}"): ToolCall => ({ id, type: "function", function: { name, arguments: args } });
const tool = (name: string, strict?: boolean) =>
  ({ type: "function", function: { name, ...(strict !== undefined && { strict }) } }) as const;
const declared = (name: string) => ({ type: "function", function: { name, parameters: { type: "object", properties: {} } } });

describe("paths", () => {
  it("are those of version 2; tokens are counted here", () => {
    expect(upstream.path("chat", MODEL, true)).toBe("/v2/chat");
    expect(upstream.path("embeddings", MODEL, false)).toBe("/v2/embed");
    expect(upstream.path("count_tokens", MODEL, false)).toBeNull();
  });
});

describe("a conversation written for Cohere", () => {
  it("keeps its roles, pictures and results", () => {
    const messages: Message[] = [
      { role: "developer", content: "be brief" },
      {
        role: "user",
        content: [
          { type: "text", text: "look" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
        ],
      },
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: [call("a", "f", '{"x":1}'), call("b", "g")],
        reasoning_content: "I will call f and g.",
      },
      { role: "tool", tool_call_id: "a", content: "1" },
      { role: "tool", tool_call_id: "b", content: [{ type: "text", text: "gone" }], is_error: true },
      { role: "assistant", content: null, refusal: "No." },
    ];
    expect(sent({ messages })).toEqual({
      model: MODEL,
      messages: [
        { role: "system", content: "be brief" },
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
          ],
        },
        {
          role: "assistant",
          content: [{ type: "text", text: "Let me see." }],
          tool_plan: "I will call f and g.",
          tool_calls: [call("a", "f", '{"x":1}'), call("b", "g")],
        },
        { role: "tool", tool_call_id: "a", content: "1" },
        {
          role: "tool",
          tool_call_id: "b",
          content: [
            { type: "text", text: "Error:" },
            { type: "text", text: "gone" },
          ],
        },
        { role: "assistant", content: [{ type: "text", text: "No." }] },
      ],
    });
  });

  it("sends thinking as thinking, without the signatures of others", () => {
    const details = [
      { type: "thinking", thinking: "hm", signature: "anthropic's" },
      { type: "redacted_thinking", data: "x" },
    ] as const;
    const written = write({ messages: [{ role: "assistant", content: "so", reasoning_details: details }] });
    expect(written.body.messages).toEqual([
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm" },
          { type: "text", text: "so" },
        ],
      },
    ]);
    expect(written.dropped).toEqual(["messages[].reasoning_details", "messages[].reasoning_details[].signature"]);
  });
});

describe("parameters written for Cohere", () => {
  it("finds each its name", () => {
    const {
      model: _,
      messages: __,
      ...rest
    } = sent({
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 5,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      stop: ["A", "B"],
      seed: 3,
      n: 1,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      logprobs: true,
      top_logprobs: 0,
      response_format: { type: "json_schema", json_schema: { name: "n", schema: { type: "object" } } },
    });
    expect(rest).toEqual({
      stream: true,
      max_tokens: 5,
      temperature: 0.5,
      p: 0.9,
      k: 40,
      stop_sequences: ["A", "B"],
      seed: 3,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      logprobs: true,
      response_format: { type: "json_object", json_schema: { type: "object" } },
    });
  });

  it.each([
    ["auto", {}],
    ["none", { tool_choice: "NONE" }],
    ["required", { tool_choice: "REQUIRED" }],
  ] as const)("turns tool_choice %j into %j", (tool_choice, expected) => {
    const { tools, tool_choice: choice } = sent({ tools: [tool("f"), tool("g")], tool_choice });
    expect(tools).toEqual([declared("f"), declared("g")]);
    expect(choice).toBe((expected as JsonObject).tool_choice);
  });

  it("offers only the tool that has to be called", () => {
    const named = { type: "function", function: { name: "g" } } as const;
    expect(sent({ tools: [tool("f"), tool("g")], tool_choice: named })).toMatchObject({ tools: [declared("g")], tool_choice: "REQUIRED" });
  });

  it("is strict for all tools or for none", () => {
    expect(sent({ tools: [tool("f", true), tool("g", true)] }).strict_tools).toBe(true);
    const mixed = write({ tools: [tool("f", true), tool("g", false)] });
    expect(mixed.body.strict_tools).toBeUndefined();
    expect(mixed.dropped).toEqual(["tools[].function.strict"]);
  });

  it.each([
    [{ reasoning_effort: "none" }, { type: "disabled" }, []],
    [{ reasoning_effort: "high" }, { type: "enabled" }, []],
    [{ reasoning_effort: "low" }, { type: "enabled" }, ["reasoning_effort"]],
    [{ thinking: { type: "enabled", budget_tokens: 2000 } }, { type: "enabled", token_budget: 2000 }, []],
    [{ thinking: { type: "disabled" } }, { type: "disabled" }, []],
  ] as const)("thinks as %j asks", (request, thinking, dropped) => {
    expect(sent(request).thinking).toEqual(thinking);
    expect(write(request).dropped).toEqual(dropped);
  });

  it.each([
    ["n", { n: 2 }],
    ["top_logprobs", { logprobs: true, top_logprobs: 2 }],
    ["logit_bias", { logit_bias: { "1": 2 } }],
    ["parallel_tool_calls", { tools: [tool("f")], parallel_tool_calls: false }],
    ["tool_choice.function.name", { tools: [tool("f")], tool_choice: { type: "function", function: { name: "h" } } }],
    ["tools[0].type", { tools: [{ type: "custom", custom: {} }] as never }],
    [
      "messages[0].content[1]",
      {
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "x" },
              { type: "input_audio", input_audio: {} },
            ],
          },
        ],
      },
    ],
    [
      "messages[0].content[0]",
      { messages: [{ role: "tool", tool_call_id: "a", content: [{ type: "image_url", image_url: { url: "https://x" } }] }] },
    ],
    [
      "messages.0.content.0",
      { messages: [{ role: "user", content: [{ type: "foreign", dialect: "a", path: "messages.0.content.0", value: {} }] }] },
    ],
    ["container", { foreign: { dialect: "anthropic-messages", fields: { container: "x" }, hints: {} } }],
  ] as [string, Partial<ChatRequest>][])("refuses %s by name", (param, request) => {
    expect(refusal(() => write(request))).toBe(param);
  });

  it("leaves out, and says so, what does not change the answer", () => {
    const messages: Message[] = [{ role: "user", name: "Ann", content: [{ type: "text", text: "x", cache_control: {} }] }];
    expect(new Set(write({ user: "u", metadata: { a: "b" }, messages }).dropped)).toEqual(
      new Set(["user", "metadata", "messages[].name", "messages[].content[].cache_control"]),
    );
  });

  it("never fails but with a refusal, whatever a client may send", () => {
    fc.assert(
      fc.property(chatRequests, (request) => {
        try {
          expect(JSON.parse(JSON.stringify(write(request).body))).toBeTypeOf("object");
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
          expect((error as GatewayError).param).toBeTruthy();
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe("embeddings", () => {
  it("are of texts to be found, unless the client says otherwise", () => {
    const expected = {
      model: "embed-v4.0",
      texts: ["a"],
      input_type: "search_document",
      embedding_types: ["float"],
      output_dimension: 256,
    };
    const request = { model: "e", input: "a", dimensions: 256, encoding_format: "base64" } as const;
    expect(upstream.writeRequest("embeddings", request, "embed-v4.0").body).toEqual(expected);
    expect(upstream.writeRequest("embeddings", { ...request, input_type: "search_query" }, "embed-v4.0").body).toEqual({
      ...expected,
      input_type: "search_query",
    });
  });

  it("come back in order, as numbers or packed", () => {
    const body = { id: "1", embeddings: { float: [[0.5], [0.25]] }, meta: { billed_units: { input_tokens: 4 } } };
    const request = { model: "e", input: ["a", "b"] };
    expect(upstream.readReply("embeddings", body, request)).toMatchObject({
      data: [
        { index: 0, embedding: [0.5] },
        { index: 1, embedding: [0.25] },
      ],
      usage: { prompt_tokens: 4, total_tokens: 4 },
    });
    const packed = upstream.readReply("embeddings", body, { ...request, encoding_format: "base64" }) as EmbeddingsReply;
    expect(Buffer.from(packed.data[1]?.embedding as string, "base64").readFloatLE()).toBe(0.25);
    expect(upstream.readUsage("embeddings", body)).toMatchObject({ inputTokens: 4, outputTokens: 0 });
    expect(() => upstream.readReply("embeddings", { embeddings: [[1]] }, request)).toThrow(
      expect.objectContaining({ code: "upstream_invalid" }),
    );
  });

  it("never fail but with a refusal, whatever a client may send", () => {
    fc.assert(
      fc.property(embeddingsRequests, (each) => {
        try {
          upstream.writeRequest("embeddings", each, "e");
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
        }
      }),
    );
  });
});
