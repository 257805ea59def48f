import type { ChatChunk, ChatReply, ChunkChoice } from "./canonical.ts";

/** A whole answer as the stream it might have been: for a plugin that answers a streaming client from store. */
export function* toChunks(reply: ChatReply): Generator<ChatChunk> {
  const base = { id: reply.id, object: "chat.completion.chunk" as const, created: reply.created, model: reply.model };
  const one = (choice: ChunkChoice): ChatChunk => ({ ...base, choices: [choice] });
  for (const { index, message, finish_reason, logprobs, stop_sequence } of reply.choices) {
    const { role, content, refusal, tool_calls, reasoning_content, reasoning_details } = message;
    yield one({ index, delta: { role, content: "" } });
    if (reasoning_content || reasoning_details?.length) {
      yield one({
        index,
        delta: { ...(reasoning_content ? { reasoning_content } : {}), ...(reasoning_details ? { reasoning_details } : {}) },
      });
    }
    if (content) yield one({ index, delta: { content }, ...(logprobs ? { logprobs } : {}) });
    if (refusal) yield one({ index, delta: { refusal } });
    if (tool_calls?.length) yield one({ index, delta: { tool_calls: tool_calls.map((call, at) => ({ index: at, ...call })) } });
    yield one({ index, delta: {}, finish_reason, ...(stop_sequence ? { stop_sequence } : {}) });
  }
  if (reply.usage) yield { ...base, choices: [], usage: reply.usage };
}
