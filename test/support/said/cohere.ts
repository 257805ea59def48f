import type { Said } from "../said.ts";

interface CohereCall {
  id?: string;
  function?: { name?: string; arguments?: string };
}
type CohereContent = { text?: string; thinking?: string };
interface CohereMessage<Content, Calls> {
  content?: Content;
  tool_plan?: string;
  tool_calls?: Calls;
}
type CohereEnd = { finish_reason?: string; usage?: { billed_units: { input_tokens: number; output_tokens: number } } };
type CohereBody = { id?: string; message?: CohereMessage<CohereContent[], CohereCall[]> } & CohereEnd;
interface CohereEvent {
  type?: string;
  id?: string;
  index?: number;
  delta?: { message?: CohereMessage<CohereContent, CohereCall> } & CohereEnd;
}

const COHERE_FINISH: Record<string, string> = { COMPLETE: "stop", STOP_SEQUENCE: "stop", MAX_TOKENS: "length", TOOL_CALL: "tool_calls" };

export function cohereSaid(events: readonly (CohereBody & CohereEvent)[]): Said {
  const [first] = events;
  if (first?.message) {
    const { message } = first;
    return cohereParts(first.id, [{ thinking: message.tool_plan ?? "" }, ...(message.content ?? [])], message.tool_calls ?? [], first);
  }
  const contents: CohereContent[] = [];
  const calls: CohereCall[] = [];
  for (const { type, index = 0, delta } of events) {
    const { content, tool_plan: plan, tool_calls: piece } = delta?.message ?? {};
    if (type?.startsWith("content-") && content) contents.push(content);
    if (type === "tool-plan-delta") contents.push({ thinking: plan ?? "" });
    if (type === "tool-call-start" && piece) calls[index] = piece;
    const call = calls[index];
    if (type === "tool-call-delta" && call) {
      const before = call.function?.arguments ?? "";
      calls[index] = { ...call, function: { ...call.function, arguments: before + (piece?.function?.arguments ?? "") } };
    }
  }
  return cohereParts(first?.id, contents, calls, events.find(({ type }) => type === "message-end")?.delta ?? {});
}

/** The model is not named, and what is billed is what counts. */
function cohereParts(id: string | undefined, contents: readonly CohereContent[], calls: readonly CohereCall[], end: CohereEnd): Said {
  const billed = end.usage?.billed_units;
  return {
    id,
    model: undefined,
    text: contents.map(({ text = "" }) => text).join(""),
    refusal: "",
    reasoning: contents.map(({ thinking = "" }) => thinking).join(""),
    calls: calls.map(({ id: callId, function: called }) => ({ id: callId, name: called?.name ?? "", args: called?.arguments ?? "" })),
    finish: end.finish_reason && (COHERE_FINISH[end.finish_reason] ?? end.finish_reason),
    usage: billed && {
      inputTokens: billed.input_tokens,
      outputTokens: billed.output_tokens,
      cachedTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    },
  };
}
