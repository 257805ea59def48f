import type { ChatChunk, ChatReply, ChunkChoice } from "../dialects/canonical.ts";
import { writeWireUsage } from "../dialects/usage.ts";
import type { FullAnswer } from "./answers.ts";

const CREATED = 1_767_225_600;

/** https://platform.openai.com/docs/api-reference/chat/object */
export function openaiReply({ id, model, text, reasoning, calls, finish, usage }: FullAnswer): ChatReply {
  return {
    id,
    object: "chat.completion",
    created: CREATED,
    model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === "" && calls.length > 0 ? null : text,
          refusal: null,
          ...(reasoning && { reasoning_content: reasoning }),
          ...(calls.length > 0 && {
            tool_calls: calls.map((call) => ({
              id: call.id,
              type: "function",
              function: { name: call.name, arguments: call.pieces.join("") },
            })),
          }),
        },
        logprobs: null,
        finish_reason: finish,
      },
    ],
    usage: writeWireUsage(usage),
  };
}

/** The same answer as canonical chunks, the last with the usage, for tests without a wire. */
export function openaiChunks({ id, model, pieces, reasoning, calls, finish, usage }: FullAnswer): ChatChunk[] {
  const base = { id, object: "chat.completion.chunk" as const, created: CREATED, model };
  const chunk = (delta: ChunkChoice["delta"], reason: ChunkChoice["finish_reason"] = null): ChatChunk => ({
    ...base,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
    usage: null,
  });
  return [
    chunk({ role: "assistant", content: "" }),
    ...(reasoning ? [chunk({ reasoning_content: reasoning })] : []),
    ...pieces.map((content) => chunk({ content })),
    ...calls.flatMap((call, index) => [
      chunk({ tool_calls: [{ index, id: call.id, type: "function", function: { name: call.name, arguments: "" } }] }),
      ...call.pieces.map((piece) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
    chunk({}, finish),
    { ...base, choices: [], usage: writeWireUsage(usage) },
  ];
}

/** https://platform.openai.com/docs/api-reference/chat/streaming, with `include_usage` */
export function openaiFrames(answer: FullAnswer): string[] {
  return [...openaiChunks(answer).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), "data: [DONE]\n\n"];
}
