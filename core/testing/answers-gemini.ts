import type { FullAnswer } from "./answers.ts";

const FINISH_REASONS = { stop: "STOP", length: "MAX_TOKENS", tool_calls: "STOP", function_call: "STOP", content_filter: "SAFETY" };

/** https://ai.google.dev/api/generate-content#generatecontentresponse */
export function geminiReply(answer: FullAnswer): object {
  const text = answer.text || answer.calls.length === 0 ? [{ text: answer.text }] : [];
  return response(answer, [...thought(answer), ...text, ...functionCalls(answer)], true);
}

/** `streamGenerateContent?alt=sse`: CRLF, no terminator; a function call comes whole. */
export function geminiFrames(answer: FullAnswer): string[] {
  const parts = [...thought(answer), ...answer.pieces.map((text) => ({ text })), ...functionCalls(answer)];
  const all = parts.length > 0 ? parts : [{ text: "" }];
  return all.map((part, index) => `data: ${JSON.stringify(response(answer, [part], index === all.length - 1))}\r\n\r\n`);
}

function thought({ reasoning }: FullAnswer): object[] {
  return reasoning ? [{ text: reasoning, thought: true }] : [];
}

function functionCalls({ calls }: FullAnswer): object[] {
  return calls.map((call) => ({ functionCall: { id: call.id, name: call.name, args: call.value } }));
}

function response({ id, model, finish, usage }: FullAnswer, parts: object[], last: boolean): object {
  return {
    candidates: [{ content: { role: "model", parts }, index: 0, ...(last && { finishReason: FINISH_REASONS[finish] }) }],
    usageMetadata: {
      promptTokenCount: usage.inputTokens,
      totalTokenCount: usage.inputTokens + (last ? usage.outputTokens : 0),
      ...(last && { candidatesTokenCount: usage.outputTokens - usage.reasoningTokens, thoughtsTokenCount: usage.reasoningTokens }),
      ...(usage.cachedTokens > 0 && { cachedContentTokenCount: usage.cachedTokens }),
    },
    modelVersion: model,
    responseId: id,
  };
}
