import Anthropic from "@anthropic-ai/sdk";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GatewayError } from "../errors.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import type { ChatReply, ChatRequest, JsonObject, Message } from "./canonical.ts";
import { openaiChat } from "./openai-chat.ts";

const client = anthropicMessages.client as NonNullable<typeof anthropicMessages.client>;
const upstream = anthropicMessages.upstream as NonNullable<typeof anthropicMessages.upstream>;
const openai = openaiChat.upstream as NonNullable<typeof openaiChat.upstream>;
const minimal = { model: "m", max_tokens: 10, messages: [{ role: "user", content: "hi" }] };
const readChat = (body: object) => client.readRequest("chat", body as JsonObject) as ChatRequest;
const write = (request: object) =>
  upstream.writeRequest("chat", { model: "m", messages: [{ role: "user", content: "hi" }], ...request }, "claude");

function refusal(act: () => unknown): { code: string; param: string | null } {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error("nothing was refused");
}

/** A request with everything that has a canonical equivalent, in the form in which it is written back. */
const full = {
  model: "claude",
  max_tokens: 100,
  system: [{ type: "text", text: "be brief", cache_control: { type: "ephemeral" } }],
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "look" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "s" },
        { type: "redacted_thinking", data: "d" },
        { type: "text", text: "I shall" },
        { type: "tool_use", id: "t1", name: "f", input: { a: [1] } },
        { type: "tool_use", id: "t2", name: "g", input: {}, cache_control: { type: "ephemeral" } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "t1", content: "no such file", is_error: true },
        { type: "tool_result", tool_use_id: "t2", content: [{ type: "image", source: { type: "url", url: "https://x/y.png" } }] },
        { type: "text", text: "go on" },
      ],
    },
  ],
  stream: true,
  temperature: 0.5,
  top_p: 0.9,
  top_k: 40,
  stop_sequences: ["END"],
  tools: [
    {
      name: "f",
      description: "does",
      input_schema: { type: "object", properties: {} },
      strict: true,
      cache_control: { type: "ephemeral" },
    },
    { name: "g", input_schema: { type: "object" } },
  ],
  tool_choice: { type: "any", disable_parallel_tool_use: true },
  thinking: { type: "enabled", budget_tokens: 2000 },
  output_config: { format: { type: "json_schema", schema: { type: "object" } }, effort: "high" },
  metadata: { user_id: "u" },
};

describe("requests from clients", () => {
  it("become canonical", () => {
    expect(readChat(full)).toEqual({
      model: "claude",
      messages: [
        { role: "system", content: [{ type: "text", text: "be brief", cache_control: { type: "ephemeral" } }] },
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
          ],
        },
        {
          role: "assistant",
          content: "I shall",
          reasoning_details: [
            { type: "thinking", thinking: "hm", signature: "s" },
            { type: "redacted_thinking", data: "d" },
          ],
          tool_calls: [
            { id: "t1", type: "function", function: { name: "f", arguments: '{"a":[1]}' } },
            { id: "t2", type: "function", function: { name: "g", arguments: "{}" }, cache_control: { type: "ephemeral" } },
          ],
        },
        { role: "tool", tool_call_id: "t1", content: "no such file", is_error: true },
        { role: "tool", tool_call_id: "t2", content: [{ type: "image_url", image_url: { url: "https://x/y.png" } }] },
        { role: "user", content: "go on" },
      ],
      max_tokens: 100,
      stream: true,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      stop: ["END"],
      tools: [
        {
          type: "function",
          function: { name: "f", description: "does", parameters: { type: "object", properties: {} }, strict: true },
          cache_control: { type: "ephemeral" },
        },
        { type: "function", function: { name: "g", parameters: { type: "object" } } },
      ],
      tool_choice: "required",
      parallel_tool_calls: false,
      thinking: { type: "enabled", budget_tokens: 2000 },
      response_format: { type: "json_schema", json_schema: { name: "response", schema: { type: "object" }, strict: true } },
      reasoning_effort: "high",
      user: "u",
    });
  });

  it("come back as they were when written for Anthropic again", () => {
    expect(upstream.writeRequest("chat", readChat(full), "claude")).toEqual({ body: full, dropped: [] });
  });

  it("carry what only Anthropic can say, for other targets to refuse or leave out", () => {
    const body = {
      ...minimal,
      messages: [
        {
          role: "user",
          content: [
            { type: "document", source: { type: "file", file_id: "f" } },
            { type: "text", text: "sum up", citations: [] },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "server_tool_use", id: "s", name: "web_search", input: {} },
            { type: "text", text: "so" },
          ],
        },
        { role: "user", content: "more" },
      ],
      tools: [
        { type: "web_search_20250305", name: "web_search" },
        { name: "f", input_schema: { type: "object" }, eager_input_streaming: true },
      ],
      service_tier: "auto",
      container: "c",
      metadata: { user_id: "u", trace: 1 },
    };
    const request = readChat(body);
    expect(request.foreign).toEqual({
      dialect: "anthropic-messages",
      fields: { "tools[0]": body.tools[0], container: "c" },
      hints: { "messages[0].content[1].citations": [], "tools[1].eager_input_streaming": true, service_tier: "auto", "metadata.trace": 1 },
    });
    expect(request.messages[0]?.content).toEqual([
      { type: "foreign", dialect: "anthropic-messages", path: "messages[0].content[0]", value: body.messages[0]?.content[0] },
      { type: "text", text: "sum up" },
    ]);
    expect(refusal(() => openai.writeRequest("chat", request, "gpt"))).toEqual({ code: "unsupported_parameter", param: "container" });
    const { foreign: _, ...rest } = request;
    expect(refusal(() => openai.writeRequest("chat", rest, "gpt"))).toEqual({
      code: "unsupported_parameter",
      param: "messages[0].content[0]",
    });
    const hinted = readChat({ ...minimal, service_tier: "auto", metadata: { trace: 1 } });
    expect(openai.writeRequest("chat", hinted, "gpt").dropped).toEqual(["service_tier", "metadata.trace"]);

    const again = upstream.writeRequest("chat", request, "claude");
    expect(again.body).toMatchObject({
      service_tier: "auto",
      container: "c",
      metadata: { user_id: "u", trace: 1 },
      messages: [{}, body.messages[1], {}],
    });
    expect(again.body.tools).toEqual([{ name: "f", input_schema: { type: "object" } }, body.tools[0]]);
    expect(again.dropped).toEqual(["messages[0].content[1].citations", "tools[1].eager_input_streaming"]);
  });

  it("keep a result's cache marker, and put results before other content", () => {
    const content = [
      { type: "text", text: "and" },
      { type: "tool_result", tool_use_id: "t", content: "42", cache_control: { type: "ephemeral" } },
    ];
    expect(readChat({ ...minimal, messages: [{ role: "user", content }] }).messages).toEqual([
      { role: "tool", tool_call_id: "t", content: [{ type: "text", text: "42", cache_control: { type: "ephemeral" } }] },
      { role: "user", content: "and" },
    ]);
  });

  const user = (...content: unknown[]) => ({ ...minimal, messages: [{ role: "user", content }] });
  const assistant = (...content: unknown[]) => ({ ...minimal, messages: [{ role: "assistant", content }] });
  const faults: [path: string, body: object][] = [
    ["model", { ...minimal, model: undefined }],
    ["max_tokens", { ...minimal, max_tokens: undefined }],
    ...[-1, 0, 1.5, Number.POSITIVE_INFINITY, "100", null, 2 ** 53 + 1].map((bad): [string, object] => [
      "max_tokens",
      { ...minimal, max_tokens: bad },
    ]),
    ["messages", { ...minimal, messages: [] }],
    ["messages[0].role", { ...minimal, messages: [{ role: "tool", content: "" }] }],
    ["messages[0].content", { ...minimal, messages: [{ role: "user" }] }],
    ["messages[0].content[0].type", user({})],
    ["messages[0].content[0].text", user({ type: "text" })],
    ["messages[0].content[0].source", user({ type: "image" })],
    ["messages[0].content[0].source.data", user({ type: "image", source: { type: "base64", media_type: "image/png" } })],
    ["messages[0].content[0].tool_use_id", user({ type: "tool_result" })],
    ["messages[0].content[0].content[0].type", user({ type: "tool_result", tool_use_id: "t", content: [{}] })],
    ["messages[0].content[0].input", assistant({ type: "tool_use", id: "t", name: "f", input: "{}" })],
    ["messages[0].content[0].thinking", assistant({ type: "thinking" })],
    ["system", { ...minimal, system: 5 }],
    ["temperature", { ...minimal, temperature: 1.5 }],
    ["stop_sequences[0]", { ...minimal, stop_sequences: [1] }],
    ["tools[0].input_schema", { ...minimal, tools: [{ name: "f" }] }],
    ["tool_choice.type", { ...minimal, tool_choice: { type: "required" } }],
    ["tool_choice.name", { ...minimal, tool_choice: { type: "tool" } }],
    ["thinking.budget_tokens", { ...minimal, thinking: { type: "enabled" } }],
    ["output_config.format.type", { ...minimal, output_config: { format: { type: "xml" } } }],
    ["metadata.user_id", { ...minimal, metadata: { user_id: 5 } }],
  ];
  it.each(faults)("a bad %s is named", (param, body) => {
    expect(refusal(() => readChat(body))).toEqual({ code: "invalid_request", param });
  });

  it("never fail in another way, and what is read can be written or is refused by name", () => {
    const word = fc.constantFrom(
      "text",
      "image",
      "tool_use",
      "tool_result",
      "thinking",
      "user",
      "assistant",
      "system",
      "f",
      "enabled",
      "auto",
      "",
    );
    const key = fc.constantFrom(
      "type",
      "text",
      "source",
      "id",
      "name",
      "input",
      "tool_use_id",
      "content",
      "thinking",
      "role",
      "cache_control",
      "__proto__",
      "constructor",
    );
    const json = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.oneof(word, fc.constantFrom<unknown>(null, true, 1, -1)),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.array(fc.tuple(key, tie("any")), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)),
      ),
    })).any;
    const block = fc
      .tuple(word, fc.array(fc.tuple(key, json), { maxLength: 5 }))
      .map(([type, entries]) => ({ ...Object.fromEntries(entries), type }));
    const message = fc.record({
      role: fc.constantFrom("user", "assistant", "system", "x"),
      content: fc.oneof(fc.constant("hi"), fc.array(block, { maxLength: 3 }), json),
    });
    const field = fc.constantFrom(
      "system",
      "tools",
      "tool_choice",
      "thinking",
      "metadata",
      "output_config",
      "stop_sequences",
      "container",
      "__proto__",
      "stream",
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), fc.array(fc.tuple(field, json), { maxLength: 3 }), (messages, fields) => {
        const body = JSON.parse(JSON.stringify({ ...minimal, messages, ...Object.fromEntries(fields) })) as JsonObject;
        try {
          const request = client.readRequest("chat", body) as ChatRequest;
          upstream.writeRequest("chat", request, "claude");
          upstream.patchRequest("chat", body, request, { ...request, messages: [...request.messages] }, "claude");
          openai.writeRequest("chat", request, "gpt");
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
          expect(error).toMatchObject({
            code: expect.stringMatching(/^(invalid_request|unsupported_parameter)$/),
            param: expect.any(String),
          });
        }
        expect(({} as Record<string, unknown>).type).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  it("for counting need no max_tokens", () => {
    const body = { model: "m", messages: minimal.messages };
    const request = client.readRequest("count_tokens", body) as ChatRequest;
    expect(upstream.writeRequest("count_tokens", { ...request, max_tokens: 5, stream: true }, "claude").body).toEqual({
      ...body,
      model: "claude",
    });
    expect(upstream.readReply("count_tokens", { input_tokens: 7 }, request)).toEqual({ input_tokens: 7 });
    expect(refusal(() => upstream.readReply("count_tokens", { input_tokens: -7 }, request)).code).toBe("upstream_invalid");
  });
});

describe("requests to Anthropic", () => {
  it("of its own clients keep all but the model and what plugins changed", () => {
    const wire = { ...full, odd: { a: 1 }, output_config: { ...full.output_config, later: true } } as unknown as JsonObject;
    const original = readChat(wire);
    expect(upstream.patchRequest("chat", wire, original, original, "other")).toEqual({ body: { ...wire, model: "other" }, dropped: [] });
    const request = { ...original, temperature: 0, response_format: undefined, messages: original.messages.slice(0, 2), seed: 5 };
    const { body, dropped } = upstream.patchRequest("chat", wire, original, request, "other");
    expect(body).toEqual({
      ...wire,
      model: "other",
      temperature: 0,
      messages: full.messages.slice(0, 1),
      output_config: { effort: "high", later: true },
    });
    expect(dropped).toEqual(["seed"]);
    expect(refusal(() => upstream.patchRequest("chat", wire, original, { ...original, n: 2 }, "other"))).toEqual({
      code: "unsupported_parameter",
      param: "n",
    });
  });

  it("from OpenAI clients are translated", () => {
    const { body, dropped } = write({
      messages: [
        { role: "system", content: "a" },
        { role: "developer", content: [{ type: "text", text: "b" }] },
        { role: "user", content: "one", name: "ann" },
        {
          role: "user",
          content: [
            { type: "text", text: "" },
            { type: "image_url", image_url: { url: "https://x/y.png", detail: "high" } },
          ],
        },
        {
          role: "assistant",
          content: "",
          reasoning_content: "hm",
          tool_calls: [{ id: "functions.f:0", type: "function", function: { name: "f", arguments: "" } }],
        },
        { role: "tool", tool_call_id: "functions.f:0", content: "1" },
        { role: "user", content: "go" },
      ],
      stop: "END",
      n: 1,
      logprobs: false,
      frequency_penalty: 0,
      seed: 1,
      store: true,
      tools: [{ type: "function", function: { name: "f" } }],
      parallel_tool_calls: false,
      reasoning_effort: "minimal",
      stream: true,
      stream_options: { include_usage: true },
      user: "u",
      response_format: { type: "text" },
    });
    expect(body).toEqual({
      model: "claude",
      max_tokens: 4096,
      system: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "one" },
            { type: "image", source: { type: "url", url: "https://x/y.png" } },
          ],
        },
        { role: "assistant", content: [{ type: "tool_use", id: "functions_f_0", name: "f", input: {} }] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "functions_f_0", content: "1" },
            { type: "text", text: "go" },
          ],
        },
      ],
      stream: true,
      stop_sequences: ["END"],
      tools: [{ name: "f", input_schema: { type: "object" } }],
      tool_choice: { type: "auto", disable_parallel_tool_use: true },
      output_config: { effort: "low" },
      metadata: { user_id: "u" },
    });
    expect(new Set(dropped)).toEqual(
      new Set(["seed", "store", "messages[].name", "messages[].content[].image_url.detail", "messages[].reasoning_content"]),
    );
  });

  it.each([
    ["n", { n: 2 }],
    ["logprobs", { logprobs: true }],
    ["logit_bias", { logit_bias: { 5: 1 } }],
    ["frequency_penalty", { frequency_penalty: 1 }],
    ["modalities", { modalities: ["text", "audio"] }],
    ["prediction", { prediction: { type: "content", content: "" } }],
    ["web_search_options", { web_search_options: { a: 1 } }],
    ["unheard_of", { unheard_of: true }],
    ["temperature", { temperature: 1.5 }],
    ["response_format", { response_format: { type: "json_object" } }],
    ["reasoning_effort", { reasoning_effort: "extreme" }],
    ["tools[0]", { tools: [{ type: "custom", custom: { name: "f" } }] }],
    ["tool_choice", { tools: [{ type: "function", function: { name: "f" } }], tool_choice: { type: "allowed_tools" } }],
    ["messages[0].content[0]", { messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }] }],
    [
      "messages[0].content[0].image_url",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "file:///etc/passwd" } }] }] },
    ],
    ["messages[0].role", { messages: [{ role: "function", name: "f", content: "" }] }],
    [
      "messages[0].tool_calls[0].function.arguments",
      { messages: [{ role: "assistant", tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{" } }] }] },
    ],
  ])("are refused by name where Anthropic has no %s", (param, fields) => {
    expect(refusal(() => write(fields))).toEqual({ code: "unsupported_parameter", param });
  });

  it("leave room for thinking in the default limit", () => {
    expect(write({ thinking: { type: "enabled", budget_tokens: 9000 } }).body).toMatchObject({ max_tokens: 13_096 });
    expect(write({ max_completion_tokens: 7, max_tokens: 5 }).body).toMatchObject({ max_tokens: 7 });
    expect(write({ reasoning_effort: "none" }).body).toMatchObject({ thinking: { type: "disabled" } });
  });

  it("and back give the same conversation", () => {
    const text = fc.string({ minLength: 1, maxLength: 6 });
    const id = fc.stringMatching(/^[a-z0-9_-]{1,8}$/);
    const parts = fc.array(
      fc.oneof(
        fc.record({ type: fc.constant("text" as const), text }),
        fc.constant({ type: "image_url" as const, image_url: { url: "data:image/png;base64,AAAA" } }),
        fc.constant({ type: "image_url" as const, image_url: { url: "https://x/y.png" } }),
      ),
      { minLength: 2, maxLength: 4 },
    );
    const content = fc.oneof(text, parts);
    const call = fc.record({
      id,
      type: fc.constant("function" as const),
      function: fc.record({ name: id, arguments: fc.dictionary(id, fc.integer()).map((args) => JSON.stringify(args)) }),
    });
    // Sides alternate, as they do once Anthropic has merged them.
    const round = fc.tuple(
      fc.record({ role: fc.constant("user" as const), content }),
      fc.oneof(
        fc.record({ role: fc.constant("assistant" as const), content: text }),
        fc.record({
          role: fc.constant("assistant" as const),
          content: fc.constant(null),
          tool_calls: fc.array(call, { minLength: 1, maxLength: 3 }),
        }),
      ),
    );
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 3 }), content, (rounds, result) => {
        const messages: Message[] = rounds.flatMap(([user, assistant]): Message[] => {
          const calls = "tool_calls" in assistant ? assistant.tool_calls : [];
          return [user, assistant, ...calls.map((each): Message => ({ role: "tool", tool_call_id: each.id, content: result }))];
        });
        const { body } = write({ messages });
        expect(readChat(body).messages).toEqual(messages);
      }),
    );
  });
});

describe("answers", () => {
  const reply: ChatReply = {
    id: "c",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: "so",
          reasoning_content: "hm",
          reasoning_details: [{ type: "thinking", thinking: "hm", signature: "s" }],
          tool_calls: [{ id: "t", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
        },
        finish_reason: "tool_calls",
      },
    ],
    usage: {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 3, cache_creation_tokens: 2 },
    },
  };
  const message = {
    id: "c",
    type: "message",
    role: "assistant",
    model: "m",
    content: [
      { type: "thinking", thinking: "hm", signature: "s" },
      { type: "text", text: "so" },
      { type: "tool_use", id: "t", name: "f", input: { a: 1 } },
    ],
    stop_reason: "tool_use",
    stop_sequence: null,
    usage: { input_tokens: 5, cache_creation_input_tokens: 2, cache_read_input_tokens: 3, output_tokens: 5 },
  };
  const request = readChat(minimal);
  const written = (more: Partial<ChatReply["choices"][0]>) =>
    client.writeReply(
      "chat",
      { ...reply, choices: [{ index: 0, message: { role: "assistant", content: "x" }, finish_reason: "stop", ...more }] },
      { requestId: "r", request },
    );

  it("are the same both ways", () => {
    expect(client.writeReply("chat", reply, { requestId: "r", request })).toEqual(message);
    expect(upstream.readReply("chat", message, request)).toEqual({ ...reply, created: expect.any(Number) });
    expect(upstream.readUsage("chat", message)).toEqual({
      inputTokens: 10,
      outputTokens: 5,
      cachedTokens: 3,
      cacheWriteTokens: 2,
      reasoningTokens: 0,
    });
  });

  it.each([
    ["end_turn", "stop"],
    ["stop_sequence", "stop"],
    ["pause_turn", "stop"],
    ["max_tokens", "length"],
    ["model_context_window_exceeded", "length"],
    ["tool_use", "tool_calls"],
    ["refusal", "content_filter"],
    ["still_unknown", "stop"],
  ])("that stop for %s finish for %s", (stop_reason, finish) => {
    const sequence = stop_reason === "stop_sequence" ? "END" : null;
    const read = upstream.readReply(
      "chat",
      { ...message, content: [{ type: "text", text: "x" }], stop_reason, stop_sequence: sequence },
      request,
    ) as ChatReply;
    expect(read.choices[0]).toMatchObject({ finish_reason: finish, ...(sequence && { stop_sequence: sequence }) });
  });

  it("stop for the reason that OpenAI's finish gives", () => {
    expect(written({})).toMatchObject({ stop_reason: "end_turn", stop_sequence: null });
    expect(written({ stop_sequence: "END" })).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: "END" });
    expect(written({ finish_reason: "length" })).toMatchObject({ stop_reason: "max_tokens" });
    expect(written({ finish_reason: "content_filter", message: { role: "assistant", content: null, refusal: "no" } })).toMatchObject({
      stop_reason: "refusal",
      content: [{ type: "text", text: "no" }],
    });
  });

  it("with arguments that are no object are an error, unless the limit cut them", () => {
    const cut = {
      role: "assistant" as const,
      content: null,
      tool_calls: [{ id: "t", type: "function" as const, function: { name: "f", arguments: '{"a' } }],
    };
    expect(refusal(() => written({ message: cut, finish_reason: "tool_calls" })).code).toBe("upstream_invalid");
    expect(written({ message: cut, finish_reason: "length" })).toMatchObject({ content: [{ type: "tool_use", input: {} }] });
  });

  it.each([{}, { content: "x" }, { error: {} }])("are refused when Anthropic sends %j", (body) => {
    expect(refusal(() => upstream.readReply("chat", body as JsonObject, request)).code).toBe("upstream_invalid");
  });

  it("cannot lie about usage", () => {
    for (const bad of [-1, "5", 1.5, 1e12, null, {}]) {
      expect(upstream.readUsage("chat", { ...message, usage: { input_tokens: bad, output_tokens: 5 } })).toBeNull();
    }
    expect(
      upstream.readUsage("chat", { ...message, usage: { input_tokens: 5, output_tokens: 5, cache_read_input_tokens: -9 } }),
    ).toMatchObject({ inputTokens: 5 });
  });

  it("count reasoning where it is stated", () => {
    const usage = { prompt_tokens: 1, completion_tokens: 5, total_tokens: 6, completion_tokens_details: { reasoning_tokens: 3 } };
    const body = client.writeReply("chat", { ...reply, usage }, { requestId: "r", request });
    expect(body.usage).toMatchObject({ output_tokens: 5, output_tokens_details: { thinking_tokens: 3 } });
    expect(upstream.readUsage("chat", body)).toMatchObject({ outputTokens: 5, reasoningTokens: 3 });
  });

  it.each([
    [400, "invalid_request_error"],
    [404, "not_found_error"],
    [413, "request_too_large"],
    [422, "invalid_request_error"],
  ])("name a provider's rejection with %i %s", (status, type) => {
    expect(client.errorBody(new GatewayError("upstream_rejected", { status }), "r")).toMatchObject({ error: { type } });
  });

  it("have errors as the SDK reads them", async () => {
    const error = new GatewayError("rate_limited");
    const body = { type: "error", error: { type: "rate_limit_error", message: error.message }, request_id: "r" };
    expect(client.errorBody(error, "r")).toEqual(body);
    const fetch = async () => new Response(client.errorEvent(error, "r"), { headers: { "content-type": "text/event-stream" } });
    const sdk = new Anthropic({ apiKey: "k", maxRetries: 0, fetch });
    const stream = sdk.messages.stream({ model: "m", max_tokens: 5, messages: [{ role: "user", content: "hi" }] });
    await expect(stream.finalMessage()).rejects.toMatchObject({ error: body, type: "rate_limit_error" });
  });
});
