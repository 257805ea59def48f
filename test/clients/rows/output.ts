import { GEMINI_HI, HI, never, type Row, refuses, sends } from "../row.ts";
import { openaiChunk, openaiReply } from "./openai-words.ts";

const SCHEMA = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false } as const;

/** The shape of the answer, and why it ended. */
export const OUTPUT: readonly Row[] = [
  {
    feature: "JSON mode",
    asks: { openai: { messages: [HI], response_format: { type: "json_object" } } },
    gets: {
      "anthropic-messages": refuses("response_format"),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { responseMimeType: "application/json" } }),
      cohere: sends({ messages: [HI], response_format: { type: "json_object" } }),
    },
  },
  {
    feature: "JSON schema",
    asks: {
      openai: {
        messages: [HI],
        response_format: { type: "json_schema", json_schema: { name: "person", schema: SCHEMA, strict: true } },
      },
      anthropic: { messages: [HI], output_config: { format: { type: "json_schema", schema: SCHEMA } } },
    },
    gets: {
      "openai-chat": sends({
        messages: [HI],
        response_format: { type: "json_schema", json_schema: { name: "response", schema: SCHEMA, strict: true } },
      }),
      "anthropic-messages": sends({ messages: [HI], output_config: { format: { type: "json_schema", schema: SCHEMA } } }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { responseMimeType: "application/json", responseJsonSchema: SCHEMA } }),
      cohere: sends({ messages: [HI], response_format: { type: "json_object", json_schema: SCHEMA } }),
    },
    answer: { text: ['{"name":', '"Ann"}'] },
    seen: { text: '{"name":"Ann"}' },
  },
  {
    feature: "JSON schema, described",
    asks: {
      openai: {
        messages: [HI],
        response_format: { type: "json_schema", json_schema: { name: "person", description: "A person", schema: SCHEMA } },
      },
    },
    gets: {
      "anthropic-messages": sends(
        { messages: [HI], output_config: { format: { type: "json_schema", schema: SCHEMA } } },
        "response_format.json_schema.description",
      ),
      gemini: sends(
        { contents: [GEMINI_HI], generationConfig: { responseMimeType: "application/json", responseJsonSchema: SCHEMA } },
        "response_format.json_schema.description",
      ),
      cohere: sends(
        { messages: [HI], response_format: { type: "json_object", json_schema: SCHEMA } },
        "response_format.json_schema.description",
      ),
    },
    answer: { text: '{"name":"Ann"}' },
    seen: { text: '{"name":"Ann"}' },
  },
  {
    feature: "Output limit by its newer name",
    asks: { openai: { messages: [HI], max_completion_tokens: 50 } },
    gets: {
      "anthropic-messages": sends({ messages: [HI], max_tokens: 50 }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { maxOutputTokens: 50 } }),
      cohere: sends({ messages: [HI], max_tokens: 50 }),
    },
  },
  {
    feature: "Output limit reached",
    asks: { openai: { messages: [HI] }, anthropic: { messages: [HI] } },
    gets: {
      "openai-chat": sends({ messages: [HI] }),
      "anthropic-messages": sends({ messages: [HI] }),
      gemini: sends({ contents: [GEMINI_HI] }),
      cohere: sends({ messages: [HI] }),
    },
    answer: { text: "And so", finish: "length" },
    seen: (client) => ({ text: "And so", stop: client === "openai" ? "length" : "max_tokens" }),
  },
  {
    feature: "Stop sequences",
    asks: { openai: { messages: [HI], stop: ["END"] }, anthropic: { messages: [HI], stop_sequences: ["END"] } },
    gets: {
      "openai-chat": sends({ messages: [HI], stop: ["END"] }),
      "anthropic-messages": sends({ messages: [HI], stop_sequences: ["END"] }),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { stopSequences: ["END"] } }),
      cohere: sends({ messages: [HI], stop_sequences: ["END"] }),
    },
    answers: {
      "anthropic-messages": {
        reply: {
          id: "msg_1",
          type: "message",
          role: "assistant",
          model: "m",
          content: [{ type: "text", text: "The" }],
          stop_reason: "stop_sequence",
          stop_sequence: "END",
          usage: { input_tokens: 10, output_tokens: 1 },
        },
        frames: [
          {
            type: "message_start",
            message: {
              id: "msg_1",
              type: "message",
              role: "assistant",
              model: "m",
              content: [],
              stop_reason: null,
              stop_sequence: null,
              usage: { input_tokens: 10, output_tokens: 1 },
            },
          },
          { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
          { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "The" } },
          { type: "content_block_stop", index: 0 },
          { type: "message_delta", delta: { stop_reason: "stop_sequence", stop_sequence: "END" }, usage: { output_tokens: 1 } },
          { type: "message_stop" },
        ],
      },
    },
    // Only Anthropic says which one it was, or that it was one at all.
    seen: (client, provider) => {
      if (client === "openai") return { stop: "stop" };
      return provider === "anthropic-messages" ? { stop: "stop_sequence", stopSequence: "END" } : { stop: "end_turn", stopSequence: null };
    },
  },
  {
    feature: "Refusals and filtered answers",
    asks: { openai: { messages: [HI] }, anthropic: { messages: [HI] } },
    gets: {
      "openai-chat": sends({ messages: [HI] }),
      "anthropic-messages": sends({ messages: [HI] }),
      gemini: sends({ contents: [GEMINI_HI] }),
      // It answers in plain words instead.
      cohere: never,
    },
    answer: { text: "I", finish: "content_filter" },
    seen: (client) => ({ text: "I", stop: client === "openai" ? "content_filter" : "refusal" }),
  },
  {
    feature: "Refusals in words",
    asks: { openai: { messages: [HI] }, anthropic: { messages: [HI] } },
    gets: { "openai-chat": sends({ messages: [HI] }), "anthropic-messages": never, gemini: never, cohere: never },
    answers: {
      "openai-chat": {
        reply: openaiReply([
          { index: 0, message: { role: "assistant", content: null, refusal: "I cannot." }, logprobs: null, finish_reason: "stop" },
        ]),
        frames: [
          openaiChunk({ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }),
          openaiChunk({ index: 0, delta: { refusal: "I " }, finish_reason: null }),
          openaiChunk({ index: 0, delta: { refusal: "cannot." }, finish_reason: null }),
          openaiChunk({ index: 0, delta: {}, finish_reason: "stop" }),
        ],
      },
    },
    seen: (client) => (client === "openai" ? { refusal: "I cannot.", text: "" } : { text: "I cannot.", stop: "refusal" }),
  },
  {
    feature: "Prompt blocked",
    asks: { openai: { messages: [HI] }, anthropic: { messages: [HI] } },
    gets: { "openai-chat": never, "anthropic-messages": never, gemini: sends({ contents: [GEMINI_HI] }), cohere: never },
    answers: {
      gemini: {
        reply: { promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 10, totalTokenCount: 10 } },
        frames: [{ promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 10, totalTokenCount: 10 } }],
      },
    },
    seen: (client) => ({ text: "", stop: client === "openai" ? "content_filter" : "refusal" }),
  },
];
