import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chatRequests, embeddingsRequests } from "../../test/support/arbitrary-request.ts";
import { GatewayError } from "../errors.ts";
import type { ChatRequest, EmbeddingsReply, JsonObject, Message, ToolCall } from "./canonical.ts";
import type { UpstreamDialect } from "./dialect.ts";
import { gemini } from "./gemini.ts";

const upstream = gemini.upstream as UpstreamDialect;
const MODEL = "gemini-2.5-pro";

function write(request: Partial<ChatRequest>, model = MODEL) {
  return upstream.writeRequest("chat", { model: "alias", messages: [{ role: "user", content: "hi" }], ...request }, model);
}

/** The body as it is sent. */
function sent(request: Partial<ChatRequest>, model = MODEL): Record<string, JsonObject> {
  return JSON.parse(JSON.stringify(write(request, model).body));
}

function contents(...messages: Message[]): unknown {
  return sent({ messages }).contents;
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

const call = (id: string, name: string, args = "{}", signature?: string): ToolCall => ({
  id,
  type: "function",
  function: { name, arguments: args },
  ...(signature !== undefined && { extra_content: { google: { thought_signature: signature } } }),
});

const tools = [
  { type: "function", function: { name: "f", description: "d", parameters: { type: "object", additionalProperties: false } } },
] as const;

describe("paths", () => {
  it("name the model and the method", () => {
    expect(upstream.path("chat", MODEL, false)).toBe("/models/gemini-2.5-pro:generateContent");
    expect(upstream.path("chat", MODEL, true)).toBe("/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
    expect(upstream.path("embeddings", "e", false)).toBe("/models/e:batchEmbedContents");
    expect(upstream.path("count_tokens", MODEL, false)).toBe("/models/gemini-2.5-pro:countTokens");
    expect(upstream.path("models", "", false)).toBeNull();
  });

  it("let no model name lead elsewhere", () => {
    expect(upstream.path("chat", "../files?x=1#", false)).toBe("/models/..%2Ffiles%3Fx%3D1%23:generateContent");
  });
});

describe("a conversation written for Gemini", () => {
  it("puts system and developer messages into the system instruction", () => {
    const messages: Message[] = [
      { role: "system", content: "one" },
      { role: "user", content: "hi" },
      { role: "developer", content: [{ type: "text", text: "two" }] },
    ];
    expect(sent({ messages })).toMatchObject({
      systemInstruction: { parts: [{ text: "one" }, { text: "two" }] },
      contents: [{ role: "user", parts: [{ text: "hi" }] }],
    });
  });

  it("inlines data and has addresses fetched", () => {
    const content = [
      { type: "text", text: "look" },
      { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
      { type: "image_url", image_url: { url: "https://img.example/a.JPG?x=1" } },
      { type: "image_url", image_url: { url: "https://img.example/a" } },
      { type: "input_audio", input_audio: { data: "BBBB", format: "wav" } },
      { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,CCCC" } },
    ] as const;
    expect(contents({ role: "user", content })).toEqual([
      {
        role: "user",
        parts: [
          { text: "look" },
          { inlineData: { mimeType: "image/png", data: "AAAA" } },
          { fileData: { fileUri: "https://img.example/a.JPG?x=1", mimeType: "image/jpeg" } },
          { fileData: { fileUri: "https://img.example/a" } },
          { inlineData: { mimeType: "audio/wav", data: "BBBB" } },
          { inlineData: { mimeType: "application/pdf", data: "CCCC" } },
        ],
      },
    ]);
  });

  it("answers parallel calls in one turn, with ids and the functions' names", () => {
    expect(
      contents(
        { role: "user", content: "weather?" },
        { role: "assistant", content: "Let me look.", tool_calls: [call("a", "f", '{"city":"Rome"}'), call("b", "g", "")] },
        { role: "tool", tool_call_id: "b", content: "sunny" },
        { role: "tool", tool_call_id: "a", content: [{ type: "text", text: "no such city" }], is_error: true },
        { role: "user", content: "thanks" },
      ),
    ).toEqual([
      { role: "user", parts: [{ text: "weather?" }] },
      {
        role: "model",
        parts: [
          { text: "Let me look." },
          { functionCall: { id: "a", name: "f", args: { city: "Rome" } } },
          { functionCall: { id: "b", name: "g", args: {} } },
        ],
      },
      {
        role: "user",
        parts: [
          { functionResponse: { id: "b", name: "g", response: { output: "sunny" } } },
          { functionResponse: { id: "a", name: "f", response: { error: "no such city" } } },
        ],
      },
      { role: "user", parts: [{ text: "thanks" }] },
    ]);
  });

  it("gives thought signatures back where they came from", () => {
    const messages: Message[] = [{ role: "assistant", tool_calls: [call("a", "f", "{}", "SIG"), call("b", "g")] }];
    const parts = [
      { functionCall: { id: "a", name: "f", args: {} }, thoughtSignature: "SIG" },
      { functionCall: { id: "b", name: "g", args: {} } },
    ];
    for (const model of [MODEL, "gemini-3-pro"]) expect(sent({ messages }, model).contents).toEqual([{ role: "model", parts }]);
  });

  it("marks calls that Gemini 3 did not make, which it would reject otherwise", () => {
    const messages: Message[] = [{ role: "assistant", tool_calls: [call("a", "f"), call("b", "g")] }];
    expect(sent({ messages }, "gemini-3.1-flash").contents).toEqual([
      {
        role: "model",
        parts: [
          { functionCall: { id: "a", name: "f", args: {} }, thoughtSignature: "skip_thought_signature_validator" },
          { functionCall: { id: "b", name: "g", args: {} } },
        ],
      },
    ]);
  });

  it("sends thoughts as thoughts, without the signatures of others", () => {
    const details = [
      { type: "thinking", thinking: "hm", signature: "anthropic's" },
      { type: "redacted_thinking", data: "x" },
    ] as const;
    const written = write({ messages: [{ role: "assistant", content: "so", reasoning_details: details, reasoning_content: "not this" }] });
    expect(written.body.contents).toEqual([{ role: "model", parts: [{ text: "hm", thought: true }, { text: "so" }] }]);
    expect(written.dropped).toEqual(["messages[].reasoning_details[].signature", "messages[].reasoning_details"]);
    expect(contents({ role: "assistant", content: "so", reasoning_content: "plain" })).toEqual([
      { role: "model", parts: [{ text: "plain", thought: true }, { text: "so" }] },
    ]);
  });

  it("hands pictures in results to Gemini 3 and refuses them for older models", () => {
    const messages: Message[] = [
      { role: "assistant", tool_calls: [call("a", "f", "{}", "S")] },
      { role: "tool", tool_call_id: "a", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }] },
    ];
    expect(sent({ messages }, "gemini-3-pro").contents?.[1]).toEqual({
      role: "user",
      parts: [
        {
          functionResponse: {
            id: "a",
            name: "f",
            response: { output: "" },
            parts: [{ inlineData: { mimeType: "image/png", data: "AAAA" } }],
          },
        },
      ],
    });
    expect(refusal(() => write({ messages }))).toBe("messages[1].content[0]");
  });
});

describe("parameters written for Gemini", () => {
  it("finds each its place", () => {
    const { generationConfig } = sent({
      max_tokens: 5,
      max_completion_tokens: 7,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      stop: "END",
      n: 2,
      seed: 3,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      logprobs: true,
      top_logprobs: 4,
    });
    expect(generationConfig).toEqual({
      maxOutputTokens: 7,
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      stopSequences: ["END"],
      candidateCount: 2,
      seed: 3,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      responseLogprobs: true,
      logprobs: 4,
    });
  });

  it("sends nothing for what is absent or null", () => {
    expect(sent({ temperature: null, stop: null, top_k: -1, n: null, response_format: { type: "text" } })).toEqual({
      contents: [{ role: "user", parts: [{ text: "hi" }] }],
      generationConfig: {},
    });
  });

  it("declares functions with their JSON schemas as they are", () => {
    expect(sent({ tools }).tools).toEqual([
      { functionDeclarations: [{ name: "f", description: "d", parametersJsonSchema: { type: "object", additionalProperties: false } }] },
    ]);
  });

  it.each([
    [undefined, { mode: "AUTO" }],
    ["auto", { mode: "AUTO" }],
    ["none", { mode: "NONE" }],
    ["required", { mode: "ANY" }],
    [
      { type: "function", function: { name: "f" } },
      { mode: "ANY", allowedFunctionNames: ["f"] },
    ],
  ] as const)("turns tool_choice %j into %j", (choice, functionCallingConfig) => {
    expect(sent({ tools, ...(choice && { tool_choice: choice }) }).toolConfig).toEqual({ functionCallingConfig });
  });

  it("holds strict functions to their schemas", () => {
    const strict = [{ type: "function", function: { name: "f", strict: true } }] as const;
    expect(sent({ tools: strict }).toolConfig).toEqual({ functionCallingConfig: { mode: "VALIDATED" } });
  });

  it("asks for JSON, with a schema or without", () => {
    expect(sent({ response_format: { type: "json_object" } }).generationConfig).toEqual({ responseMimeType: "application/json" });
    const schema = { type: "object", properties: { a: { $ref: "#/$defs/x" } } };
    const written = write({ response_format: { type: "json_schema", json_schema: { name: "n", description: "d", schema, strict: true } } });
    expect(written.body.generationConfig).toMatchObject({ responseMimeType: "application/json", responseJsonSchema: schema });
    expect(written.dropped).toEqual(["response_format.json_schema.description"]);
  });

  it.each([
    ["gemini-2.5-flash", { reasoning_effort: "none" }, { thinkingBudget: 0 }],
    ["gemini-2.5-flash", { reasoning_effort: "low" }, { thinkingBudget: 1024, includeThoughts: true }],
    ["gemini-2.5-flash", { reasoning_effort: "high" }, { thinkingBudget: 24_576, includeThoughts: true }],
    ["gemini-2.5-flash", { thinking: { type: "disabled" } }, { thinkingBudget: 0 }],
    ["gemini-2.5-flash", { thinking: { type: "adaptive" } }, { includeThoughts: true }],
    ["gemini-3-pro", { reasoning_effort: "none" }, { thinkingLevel: "minimal" }],
    ["gemini-3-pro", { reasoning_effort: "medium" }, { thinkingLevel: "medium", includeThoughts: true }],
    ["gemini-flash-latest", { reasoning_effort: "xhigh" }, { thinkingLevel: "high", includeThoughts: true }],
    [
      "gemini-3-pro",
      { thinking: { type: "enabled", budget_tokens: 2000 }, reasoning_effort: "low" },
      { thinkingBudget: 2000, includeThoughts: true },
    ],
    ["gemini-3-pro", { thinking: { type: "adaptive" }, reasoning_effort: "low" }, { thinkingLevel: "low", includeThoughts: true }],
  ])("makes %s think as %j asks", (model, request, thinkingConfig) => {
    expect(sent(request, model).generationConfig).toEqual({ thinkingConfig });
  });

  it.each([
    ["logit_bias", { logit_bias: { "50256": -100 } }],
    ["verbosity", { verbosity: "low" }],
    ["modalities", { modalities: ["text", "audio"] }],
    ["web_search_options", { web_search_options: { a: 1 } }],
    ["something_new", { something_new: true }],
    ["parallel_tool_calls", { tools, parallel_tool_calls: false }],
    ["reasoning_effort", { reasoning_effort: "toString" }],
    ["tools[0].type", { tools: [{ type: "custom", custom: { name: "c" } }] as never }],
    ["tool_choice", { tools, tool_choice: { type: "allowed_tools" } as never }],
    ["response_format", { response_format: { type: "grammar" } as never }],
    ["container", { foreign: { dialect: "anthropic-messages", fields: { container: "x" }, hints: {} } }],
    [
      "messages.0.content.0",
      { messages: [{ role: "user", content: [{ type: "foreign", dialect: "a", path: "messages.0.content.0", value: {} }] }] },
    ],
    ["messages[0].content[0]", { messages: [{ role: "user", content: [{ type: "file", file: { file_id: "file-1" } }] }] }],
    ["messages[0].tool_call_id", { messages: [{ role: "tool", tool_call_id: "a", content: "x" }] }],
    ["messages[0].tool_calls[0].function.arguments", { messages: [{ role: "assistant", tool_calls: [call("a", "f", "[1]")] }] }],
    ["messages[0].tool_calls[0].function.arguments", { messages: [{ role: "assistant", tool_calls: [call("a", "f", "{")] }] }],
    [
      "messages[0].tool_calls[0].function.arguments",
      { messages: [{ role: "assistant", tool_calls: [call("a", "f", `{"a":${"[".repeat(9000)}${"]".repeat(9000)}}`)] }] },
    ],
    ["messages[0].role", { messages: [{ role: "function", name: "f", content: "x" } as never] }],
  ] as [string, Partial<ChatRequest>][])("refuses %s by name", (param, request) => {
    expect(refusal(() => write(request))).toBe(param);
  });

  it("leaves out, and says so, what does not change the answer", () => {
    const written = write({
      user: "u",
      metadata: { a: "b" },
      store: true,
      logit_bias: {},
      modalities: ["text"],
      foreign: { dialect: "anthropic-messages", fields: {}, hints: { container: "x" } },
      tools: [{ ...tools[0], cache_control: { type: "ephemeral" } }],
      messages: [{ role: "user", name: "Ann", content: [{ type: "text", text: "x", cache_control: {} }] }],
    });
    expect(new Set(written.dropped)).toEqual(
      new Set(["container", "user", "metadata", "store", "messages[].name", "messages[].content[].cache_control", "tools[].cache_control"]),
    );
  });

  it("counts tokens with the same request", () => {
    const messages: Message[] = [{ role: "user", content: "hi" }];
    const { body } = upstream.writeRequest("count_tokens", { model: "alias", messages }, MODEL);
    expect(body).toMatchObject({
      generateContentRequest: { model: `models/${MODEL}`, contents: [{ role: "user", parts: [{ text: "hi" }] }] },
    });
    expect(upstream.readReply("count_tokens", { totalTokens: 12 }, { model: "m", messages })).toEqual({ input_tokens: 12 });
    expect(() => upstream.readReply("count_tokens", { totalTokens: "12" }, { model: "m", messages })).toThrow(GatewayError);
  });

  it("never fails but with a refusal, whatever a client may send", () => {
    const operations = fc.constantFrom("chat" as const, "count_tokens" as const);
    fc.assert(
      fc.property(chatRequests, operations, fc.constantFrom(MODEL, "gemini-3-pro"), (request, operation, model) => {
        try {
          const { body } = upstream.writeRequest(operation, request, model);
          expect(JSON.parse(JSON.stringify(body))).toBeTypeOf("object");
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
  const request = { model: "e", input: ["a", "b"], dimensions: 2 };

  it("go as one batch", () => {
    expect(upstream.writeRequest("embeddings", request, "gemini-embedding-001").body).toEqual({
      requests: ["a", "b"].map((text) => ({
        model: "models/gemini-embedding-001",
        content: { parts: [{ text }] },
        outputDimensionality: 2,
      })),
    });
  });

  it("come back in order, as numbers or packed", () => {
    const body = { embeddings: [{ values: [0.5, -1] }, { values: [0.25, 2] }], usageMetadata: { promptTokenCount: 12 } };
    expect(upstream.readReply("embeddings", body, request)).toEqual({
      object: "list",
      model: "e",
      data: [
        { object: "embedding", index: 0, embedding: [0.5, -1] },
        { object: "embedding", index: 1, embedding: [0.25, 2] },
      ],
      usage: { prompt_tokens: 12, total_tokens: 12 },
    });
    const packed = upstream.readReply("embeddings", body, { ...request, encoding_format: "base64" }) as EmbeddingsReply;
    const bytes = Buffer.from(packed.data[1]?.embedding as string, "base64");
    expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([0.25, 2]);
    expect(upstream.readUsage("embeddings", body)).toMatchObject({ inputTokens: 12, outputTokens: 0 });
    expect(upstream.readUsage("embeddings", { embeddings: [] })).toBeNull();
  });

  it("refuse OpenAI's token numbers", () => {
    expect(refusal(() => upstream.writeRequest("embeddings", { model: "e", input: [1, 2] }, "e"))).toBe("input");
  });

  it.each([{}, { embeddings: [{ values: ["x"] }] }, { embeddings: [null] }])("that are none are an invalid answer: %j", (body) => {
    expect(() => upstream.readReply("embeddings", body, request)).toThrow(expect.objectContaining({ code: "upstream_invalid" }));
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
