import type { FullAnswer } from "./answers.ts";

const STOP_REASONS = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  function_call: "tool_use",
  content_filter: "refusal",
};

/** https://docs.anthropic.com/en/api/messages */
export function anthropicReply(answer: FullAnswer): object {
  const { id, model, text, reasoning, calls, finish } = answer;
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [
      ...(reasoning ? [{ type: "thinking", thinking: reasoning, signature: "c2lnbmF0dXJl" }] : []),
      ...(text || calls.length === 0 ? [{ type: "text", text }] : []),
      ...calls.map((call) => ({ type: "tool_use", id: call.id, name: call.name, input: call.value })),
    ],
    stop_reason: STOP_REASONS[finish],
    stop_sequence: null,
    usage: { ...inputUsage(answer), output_tokens: answer.usage.outputTokens },
  };
}

/** https://docs.anthropic.com/en/docs/build-with-claude/streaming */
export function anthropicFrames(answer: FullAnswer): string[] {
  const { id, model, pieces, reasoning, calls, finish, usage } = answer;
  const blocks = [
    ...(reasoning
      ? [
          {
            start: { type: "thinking", thinking: "", signature: "" },
            deltas: [
              { type: "thinking_delta", thinking: reasoning },
              { type: "signature_delta", signature: "c2lnbmF0dXJl" },
            ],
          },
        ]
      : []),
    ...(pieces.length > 0 || calls.length === 0
      ? [{ start: { type: "text", text: "" }, deltas: pieces.map((text) => ({ type: "text_delta", text })) }]
      : []),
    ...calls.map((call) => ({
      start: { type: "tool_use", id: call.id, name: call.name, input: {} },
      deltas: call.pieces.map((piece) => ({ type: "input_json_delta", partial_json: piece })),
    })),
  ];
  const message = { id, type: "message", role: "assistant", model, content: [], stop_reason: null, stop_sequence: null };
  return [
    { type: "message_start", message: { ...message, usage: { ...inputUsage(answer), output_tokens: 1 } } },
    { type: "ping" },
    ...blocks.flatMap(({ start, deltas }, index) => [
      { type: "content_block_start", index, content_block: start },
      ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
      { type: "content_block_stop", index },
    ]),
    {
      type: "message_delta",
      delta: { stop_reason: STOP_REASONS[finish], stop_sequence: null },
      usage: { output_tokens: usage.outputTokens },
    },
    { type: "message_stop" },
  ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

/** Anthropic's `input_tokens` leave out what the cache served or took. */
function inputUsage({ usage }: FullAnswer): object {
  return {
    input_tokens: usage.inputTokens - usage.cachedTokens - usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cachedTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
  };
}
