import fc from "fast-check";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { GatewayError } from "../errors.ts";
import type { ChatChunk, ChatReply, ChatRequest, JsonObject } from "./canonical.ts";
import type { FrameKind } from "./dialect.ts";
import { openaiChat } from "./openai-chat.ts";
import { type Frame, SseFramer } from "./sse.ts";

const client = openaiChat.client as NonNullable<typeof openaiChat.client>;
const upstream = openaiChat.upstream as NonNullable<typeof openaiChat.upstream>;
const minimal = { model: "m", messages: [{ role: "user", content: "hi" }] };
const asked = minimal as unknown as ChatRequest;
const readChat = (body: object) => client.readRequest("chat", body as JsonObject) as ChatRequest;

function refusal(act: () => unknown): { code: string; param: string | null } {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error("nothing was refused");
}

const frame = (data: string, event = ""): Frame => ({ data, event, raw: Buffer.from(`data: ${data}\n\n`) });
const chunkOf = (delta: object, more: object = {}) =>
  JSON.stringify({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta, finish_reason: null }],
    ...more,
  });
const newReader = () => upstream.streamReader({ model: "m", request: asked });

describe("requests from clients", () => {
  it("are taken as they are, unknown fields included", () => {
    const body = {
      ...minimal,
      messages: [
        { role: "developer", content: "be brief", unknown: 1 },
        {
          role: "user",
          content: [{ type: "text", text: "hi" }, { type: "image_url", image_url: { url: "data:," } }, { type: "video_url" }],
        },
        { role: "assistant", content: null, tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "1", content: "42" },
        { role: "assistant", tool_calls: [{ id: "2", type: "custom", custom: {} }] },
        { role: "function", name: "f", content: null },
      ],
      tools: [
        { type: "function", function: { name: "f" } },
        { type: "custom", custom: { name: "g" } },
      ],
      tool_choice: { type: "function", function: { name: "f" } },
      response_format: { type: "json_schema", json_schema: { name: "s", schema: {} } },
      stop: ["a"],
      max_tokens: null,
      temperature: 2,
      extra: { deep: true },
    };
    expect(readChat(body)).toBe(body);
    expect(Object.isFrozen(body)).toBe(true);
  });

  const faults: [path: string, body: object][] = [
    ["model", { messages: minimal.messages }],
    ["model", { ...minimal, model: "" }],
    ["messages", { model: "m" }],
    ["messages", { model: "m", messages: [] }],
    ["messages", { model: "m", messages: {} }],
    ["messages[0]", { model: "m", messages: [null] }],
    ["messages[0].role", { model: "m", messages: [{ role: "toString", content: "" }] }],
    ["messages[0].content", { model: "m", messages: [{ role: "user" }] }],
    ["messages[0].content", { model: "m", messages: [{ role: "user", content: 5 }] }],
    ["messages[0].content[0].type", { model: "m", messages: [{ role: "user", content: [{}] }] }],
    ["messages[0].content[0].type", { model: "m", messages: [{ role: "user", content: [{ type: "foreign", dialect: "x" }] }] }],
    ["messages[0].content[0].text", { model: "m", messages: [{ role: "user", content: [{ type: "text" }] }] }],
    ["messages[0].content[0].image_url", { model: "m", messages: [{ role: "user", content: [{ type: "image_url" }] }] }],
    ["messages[0].tool_call_id", { model: "m", messages: [{ role: "tool", content: "" }] }],
    ["messages[0].tool_calls[0].function", { model: "m", messages: [{ role: "assistant", tool_calls: [{ id: "1", type: "function" }] }] }],
    ["foreign", { ...minimal, foreign: { fields: {} } }],
    ["stream", { ...minimal, stream: "yes" }],
    ["stream_options.include_usage", { ...minimal, stream_options: { include_usage: 1 } }],
    ["temperature", { ...minimal, temperature: 2.1 }],
    ["temperature", { ...minimal, temperature: Number.NaN }],
    ["top_p", { ...minimal, top_p: "1" }],
    ["n", { ...minimal, n: 1e9 }],
    ["n", { ...minimal, n: 0 }],
    ["best_of", { ...minimal, best_of: 1e9 }],
    ["stop[0]", { ...minimal, stop: [1] }],
    ["tools[0].function.name", { ...minimal, tools: [{ type: "function", function: { name: 1 } }] }],
    ["tool_choice", { ...minimal, tool_choice: "any" }],
    ["response_format.json_schema", { ...minimal, response_format: { type: "json_schema" } }],
    ...[-1, 0, 1.5, Number.POSITIVE_INFINITY, "100", 2 ** 53 + 1, {}, []].flatMap((bad): [string, object][] => [
      ["max_tokens", { ...minimal, max_tokens: bad }],
      ["max_completion_tokens", { ...minimal, max_completion_tokens: bad }],
    ]),
  ];
  it.each(faults)("a bad %s is named", (param, body) => {
    expect(refusal(() => readChat(body))).toEqual({ code: "invalid_request", param });
  });

  it("never fail in another way, and pollute nothing", () => {
    const key = fc.constantFrom(
      "model",
      "messages",
      "role",
      "content",
      "tools",
      "type",
      "function",
      "name",
      "__proto__",
      "constructor",
      "toString",
      "n",
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom<unknown>(null, true, 1, -1, "user", "assistant", "text", "function", ""),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.array(fc.tuple(key, tie("any")), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
      ),
    })).any;
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 6 }), fc.boolean(), (entries, valid) => {
        const body = JSON.parse(JSON.stringify({ ...(valid && minimal), ...Object.fromEntries(entries) })) as JsonObject;
        for (const operation of ["chat", "embeddings"] as const) {
          try {
            client.readRequest(operation, body);
          } catch (error) {
            expect(error).toMatchObject({ code: "invalid_request", param: expect.any(String) });
          }
        }
        expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  it("for embeddings are checked too", () => {
    for (const input of ["a", ["a", "b"], [1, 2], [[1], [2]]]) {
      expect(client.readRequest("embeddings", { model: "m", input })).toMatchObject({ input });
    }
    for (const input of [[], {}, 5, [1, "a"], [[]], null]) {
      expect(refusal(() => client.readRequest("embeddings", { model: "m", input: input as never })).param).toBe("input");
    }
    expect(refusal(() => client.readRequest("embeddings", { model: "m", input: "a", dimensions: 0 })).param).toBe("dimensions");
  });
});

describe("requests to providers", () => {
  it("of the same dialect keep all but the model and what plugins changed", () => {
    const wire = {
      ...minimal,
      messages: [{ role: "user", content: [{ type: "text", text: "hi", cache_control: {} }] }],
      stream: true,
      odd: 1,
      seed: 7,
    };
    const original = readChat(wire);
    const { seed: _, ...rest } = original;
    const request = { ...rest, temperature: 0 } as ChatRequest;
    const { body, dropped } = upstream.patchRequest("chat", wire as unknown as JsonObject, original, request, "gpt");
    expect(JSON.parse(JSON.stringify(body))).toEqual({
      ...wire,
      seed: undefined,
      model: "gpt",
      temperature: 0,
      stream_options: { include_usage: true },
    });
    expect(dropped).toEqual([]);
    expect(wire.model).toBe("m");
  });

  it("always ask a stream for usage and keep its other options", () => {
    const request = readChat({ ...minimal, stream: true, stream_options: { include_usage: false, include_obfuscation: false } });
    expect(upstream.writeRequest("chat", request, "gpt").body.stream_options).toEqual({ include_usage: true, include_obfuscation: false });
    expect(upstream.writeRequest("chat", asked, "gpt").body).toEqual({ ...minimal, model: "gpt" });
  });

  it("lose what the canonical form added for other dialects", () => {
    const request: ChatRequest = {
      model: "m",
      messages: [
        { role: "user", content: [{ type: "text", text: "hi", cache_control: { type: "ephemeral" } }] },
        {
          role: "assistant",
          content: null,
          reasoning_details: [{ type: "thinking", thinking: "mine", signature: "s" }],
          tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" }, cache_control: {} }],
        },
        { role: "tool", tool_call_id: "1", content: "no such file", is_error: true },
        { role: "assistant", content: "a", reasoning_details: [{ type: "thinking", thinking: "open" }] },
      ],
      tools: [{ type: "function", function: { name: "f" }, cache_control: {} }],
      thinking: { type: "enabled", budget_tokens: 5000 },
      foreign: { dialect: "anthropic-messages", fields: {}, hints: { service_tier: "auto" } },
    };
    const { body, dropped } = upstream.writeRequest("chat", request, "gpt");
    expect(body).toEqual({
      model: "gpt",
      messages: [
        { role: "user", content: [{ type: "text", text: "hi" }] },
        { role: "assistant", content: null, tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "1", content: "Error: no such file" },
        { role: "assistant", content: "a", reasoning_content: "open" },
      ],
      tools: [{ type: "function", function: { name: "f" } }],
      reasoning_effort: "medium",
    });
    expect(dropped).toEqual([
      "service_tier",
      "messages[].content[].cache_control",
      "messages[].reasoning_details",
      "messages[].tool_calls[].cache_control",
      "tools[].cache_control",
    ]);
  });

  it("are refused when they hold what only another dialect can say", () => {
    const part = { type: "foreign", dialect: "anthropic-messages", path: "messages[0].content[1]", value: { type: "document" } } as const;
    const withPart: ChatRequest = { model: "m", messages: [{ role: "user", content: [part] }] };
    expect(refusal(() => upstream.writeRequest("chat", withPart, "gpt"))).toEqual({ code: "unsupported_parameter", param: part.path });
    const withField: ChatRequest = { ...asked, foreign: { dialect: "anthropic-messages", fields: { mcp_servers: [] }, hints: {} } };
    expect(refusal(() => upstream.writeRequest("chat", withField, "gpt"))).toEqual({ code: "unsupported_parameter", param: "mcp_servers" });
  });
});

describe("streams from providers", () => {
  const kinds = (...data: string[]): FrameKind[] => {
    const reader = newReader();
    return data.map((each) => reader.inspect(frame(each)));
  };

  it("tell role, content, usage and end apart", () => {
    expect(
      kinds(
        "",
        JSON.stringify({ choices: [], prompt_filter_results: [] }),
        chunkOf({ role: "assistant", content: "", refusal: null }),
        chunkOf({ content: "a" }),
        chunkOf({ content: "b" }, { usage: null }),
        JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }),
        "[DONE]",
      ),
    ).toEqual(["lifecycle", "lifecycle", "lifecycle", "content", "content", "usage", "end"]);
  });

  it("are not misread where the answer speaks of usage, errors or the end", () => {
    const reader = newReader();
    const tricky = [
      '{"usage":{"prompt_tokens":9}}',
      '"error"',
      "usage",
      "error",
      '\\"usage":{',
      "[DONE]",
      '"}],"usage":{"prompt_tokens":5,"completion_tokens":5}',
    ];
    reader.inspect(frame(chunkOf({ content: "a" })));
    for (const content of tricky) expect(reader.inspect(frame(chunkOf({ content })))).toBe("content");
    expect(reader.usage).toBeNull();
    expect(reader.error).toBeNull();
    expect(reader.outputBytes).toBe(Buffer.byteLength(`a${tricky.join("")}`));
  });

  it("are counted to the byte, whatever the text", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }), { maxLength: 10 }), fc.boolean(), (texts, ascii) => {
        const reader = newReader();
        for (const content of texts) {
          const json = chunkOf({ content });
          const escaped = json.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
          reader.inspect(frame(ascii ? escaped : json));
        }
        expect(reader.outputBytes).toBe(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0));
        expect(reader.error).toBeNull();
      }),
    );
  });

  it.each([
    [
      "an error object",
      frame('{"error":{"message":"busy","type":"server_error","code":503}}'),
      { message: "busy", type: "server_error", code: "503" },
    ],
    ["an error event", frame('{"message":"busy"}', "error"), { message: "busy" }],
    ["an error string", frame('{"error":"busy"}'), { message: "busy" }],
    ["vLLM's flat error", frame('{"object":"error","message":"busy"}'), { message: "busy" }],
    ["an error beside choices", frame(chunkOf({ content: "" }, { error: { message: "busy" } })), { message: "busy" }],
    ["no JSON", frame("oops"), { message: "The provider sent an event that is not a JSON object." }],
    [
      "cut JSON",
      frame('{"id":"c","choices":[{"delta":{"content":"x'),
      { message: "The provider sent an event that is not a JSON object." },
    ],
  ])("report %s, first or later", (_, bad, info) => {
    for (const before of [[], [chunkOf({ content: "a" })]]) {
      const reader = newReader();
      for (const each of before) reader.inspect(frame(each));
      expect(reader.inspect(bad)).toBe("error");
      expect(reader.error).toEqual(info);
    }
  });

  it("cannot lie about usage", () => {
    const usage = (stated: unknown) => {
      const reader = newReader();
      reader.inspect(frame(chunkOf({ content: "a" })));
      reader.inspect(frame(JSON.stringify({ choices: [], usage: stated })));
      return reader.usage;
    };
    for (const bad of [-1, "5", 1.5, 1e12, null, {}, []]) {
      expect(usage({ prompt_tokens: bad, completion_tokens: 5 })).toBeNull();
      expect(usage({ prompt_tokens: 5, completion_tokens: bad })).toBeNull();
    }
    for (const bad of [null, "x", 5, [], true]) expect(usage(bad)).toBeNull();
    expect(usage({ prompt_tokens: 5, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 50 } })).toMatchObject({
      cachedTokens: 5,
    });
    const reader = newReader();
    for (const [input, output] of [
      [5, 5],
      [5, 9],
      [1, 1],
    ]) {
      reader.inspect(frame(JSON.stringify({ choices: [], usage: { prompt_tokens: input, completion_tokens: output } })));
    }
    expect(reader.usage).toMatchObject({ inputTokens: 5, outputTokens: 9 });
  });

  it.each([
    ["xAI's reasoning", { total_tokens: 39, completion_tokens_details: { reasoning_tokens: 27 } }, 29],
    ["the thoughts of Gemini's own OpenAI layer", { total_tokens: 39 }, 29],
    ["nothing in a total that is too small", { total_tokens: 4 }, 2],
    ["nothing in a total that is no number", { total_tokens: "39" }, 2],
    ["nothing in a total that is absurd", { total_tokens: 1e12 }, 2],
  ])("count as generated what stands in the total alone: %s", (_, stated, outputTokens) => {
    const usage = { prompt_tokens: 10, completion_tokens: 2, ...stated };
    expect(upstream.readUsage("chat", { usage })).toMatchObject({ inputTokens: 10, outputTokens });
    expect(upstream.readUsage("embeddings", { usage: { prompt_tokens: 10, total_tokens: 39 } })).toMatchObject({ outputTokens: 0 });
  });

  it("get tool calls in order with ids, whatever the provider numbers", () => {
    const reader = newReader();
    const call = (more: object) => chunkOf({ tool_calls: [more] });
    const frames = [
      call({ index: 0, function: { name: "f", arguments: '{"a":' } }),
      call({ index: 0, id: "", function: { name: "", arguments: "1}" } }),
      call({ index: 0, id: "second", function: { name: "g", arguments: "{}" } }),
      call({ id: "third", index: 7, function: { name: "h", arguments: { b: 2 } } }),
    ];
    const calls = frames.flatMap((each) => reader.decode(frame(each))).flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(calls).toEqual([
      { index: 0, id: expect.stringMatching(/^call_/), type: "function", function: { name: "f", arguments: '{"a":' } },
      { index: 0, function: { arguments: "1}" } },
      { index: 1, id: "second", type: "function", function: { name: "g", arguments: "{}" } },
      { index: 2, id: "third", type: "function", function: { name: "h", arguments: '{"b":2}' } },
    ]);
  });
});

const base = { id: "c", object: "chat.completion.chunk" as const, created: 1, model: "m" };

function sdk(text: string): OpenAI {
  const fetch = async () => new Response(text, { headers: { "content-type": "text/event-stream" } });
  return new OpenAI({ apiKey: "k", maxRetries: 0, fetch });
}

describe("answers to clients", () => {
  const chunks: ChatChunk[] = [
    { ...base, choices: [{ index: 0, delta: { content: "a" } }] },
    {
      ...base,
      choices: [{ index: 0, delta: {}, finish_reason: "stop", stop_sequence: "x" }],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    },
  ];
  const written = (request: object) => {
    const writer = client.streamWriter({ requestId: "r", request: { ...asked, ...request } });
    return chunks.map((chunk) => writer.write(chunk)).join("") + writer.end();
  };

  it("stream as OpenAI does, with usage only where it was asked for", () => {
    const events = (text: string) =>
      new SseFramer().push(Buffer.from(text)).map(({ data }) => (data === "[DONE]" ? data : JSON.parse(data)));
    expect(events(written({}))).toEqual([
      { ...base, choices: [{ index: 0, delta: { role: "assistant", content: "a" }, finish_reason: null }] },
      { ...base, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
      "[DONE]",
    ]);
    expect(events(written({ stream_options: { include_usage: true } }))).toEqual([
      { ...base, choices: [{ index: 0, delta: { role: "assistant", content: "a" }, finish_reason: null }], usage: null },
      { ...base, choices: [{ index: 0, delta: {}, finish_reason: "stop" }], usage: null },
      { ...base, choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } },
      "[DONE]",
    ]);
  });

  it("are read by the openai package, and errors in mid-stream throw there", async () => {
    const body = { ...minimal, stream: true } as never;
    const stream = (await sdk(written({})).chat.completions.create(body)) as unknown as AsyncIterable<ChatChunk>;
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe("a");
    const error = new GatewayError("upstream_cut");
    const cut = client.streamWriter({ requestId: "r", request: asked }).write(chunks[0] as ChatChunk) + client.errorEvent(error, "r");
    const broken = (await sdk(cut).chat.completions.create(body)) as unknown as AsyncIterable<ChatChunk>;
    await expect(async () => {
      for await (const _ of broken);
    }).rejects.toMatchObject({ code: "upstream_cut", type: "api_error", param: null });
  });

  it("have all four keys in an error", () => {
    expect(client.errorBody(new GatewayError("invalid_request", { param: "n", message: "No." }), "r")).toEqual({
      error: { message: "No.", type: "invalid_request_error", param: "n", code: "invalid_request" },
    });
  });

  it("keep a provider's own fields, and its habits are set right", () => {
    const body = {
      id: "c",
      model: "m",
      odd: 1,
      choices: [
        {
          message: {
            content: [
              { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
              { type: "text", text: "4" },
            ],
            tool_calls: [{ function: { name: "f", arguments: { a: 1 } } }],
          },
          finish_reason: "model_length",
        },
      ],
      usage: { prompt_tokens: 307, completion_tokens: 26, total_tokens: 588, completion_tokens_details: { reasoning_tokens: 255 } },
    };
    const reply = upstream.readReply("chat", body, asked) as ChatReply;
    expect(client.writeReply("chat", reply, { requestId: "r", request: asked })).toMatchObject({
      odd: 1,
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: "4",
            refusal: null,
            reasoning_content: "hm",
            tool_calls: [{ id: expect.stringMatching(/^call_/), type: "function", function: { name: "f", arguments: '{"a":1}' } }],
          },
          finish_reason: "length",
          logprobs: null,
        },
      ],
      usage: { prompt_tokens: 307, completion_tokens: 281, total_tokens: 588 },
    });
  });

  it("have no tool calls where Mistral says null", () => {
    const body = { choices: [{ message: { content: "a", tool_calls: null }, finish_reason: "stop" }] };
    expect((upstream.readReply("chat", body, asked) as ChatReply).choices[0]?.message).toEqual({ role: "assistant", content: "a" });
  });

  it.each([[{}], [{ choices: [] }], [{ choices: [null] }], [{ choices: [{}] }], [{ error: { message: "no" } }]])(
    "are refused when a provider sends %j",
    (body) => {
      expect(refusal(() => upstream.readReply("chat", body as JsonObject, asked)).code).toBe("upstream_invalid");
    },
  );
});
