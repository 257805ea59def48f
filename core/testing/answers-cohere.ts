import type { FullAnswer } from "./answers.ts";

const FINISH_REASONS = {
  stop: "COMPLETE",
  length: "MAX_TOKENS",
  tool_calls: "TOOL_CALL",
  function_call: "TOOL_CALL",
  content_filter: "ERROR",
};

/** https://docs.cohere.com/reference/chat */
export function cohereReply(answer: FullAnswer): object {
  const { id, text, reasoning, calls, finish } = answer;
  return {
    id,
    finish_reason: FINISH_REASONS[finish],
    message: {
      role: "assistant",
      content: [
        ...(reasoning ? [{ type: "thinking", thinking: reasoning }] : []),
        ...(text || calls.length === 0 ? [{ type: "text", text }] : []),
      ],
      ...(calls.length > 0 && {
        tool_calls: calls.map((call) => ({
          id: call.id,
          type: "function",
          function: { name: call.name, arguments: call.pieces.join("") },
        })),
      }),
    },
    usage: usageOf(answer),
  };
}

/** https://docs.cohere.com/v2/docs/streaming */
export function cohereFrames(answer: FullAnswer): string[] {
  const { id, pieces, reasoning, calls, finish } = answer;
  const blocks = [
    ...(reasoning ? [{ start: { type: "thinking", thinking: "" }, deltas: [{ thinking: reasoning }] }] : []),
    ...(pieces.length > 0 ? [{ start: { type: "text", text: "" }, deltas: pieces.map((text) => ({ text })) }] : []),
  ];
  return [
    { id, type: "message-start", delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] } } },
    ...blocks.flatMap(({ start, deltas }, index) => [
      { type: "content-start", index, delta: { message: { content: start } } },
      ...deltas.map((content) => ({ type: "content-delta", index, delta: { message: { content } } })),
      { type: "content-end", index },
    ]),
    ...calls.flatMap((call, index) => [
      {
        type: "tool-call-start",
        index,
        delta: { message: { tool_calls: { id: call.id, type: "function", function: { name: call.name, arguments: "" } } } },
      },
      ...call.pieces.map((piece) => ({
        type: "tool-call-delta",
        index,
        delta: { message: { tool_calls: { function: { arguments: piece } } } },
      })),
      { type: "tool-call-end", index },
    ]),
    { type: "message-end", delta: { finish_reason: FINISH_REASONS[finish], usage: usageOf(answer) } },
  ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

/** Without cached tokens, which Cohere does not bill apart. */
function usageOf({ usage }: FullAnswer): object {
  const counts = { input_tokens: usage.inputTokens, output_tokens: usage.outputTokens };
  return { billed_units: counts, tokens: counts };
}
