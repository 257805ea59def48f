import type { Said } from "../said.ts";

interface GeminiBody {
  responseId?: string;
  modelVersion?: string;
  candidates?: { content?: { parts?: GeminiPart[] }; finishReason?: string }[];
  usageMetadata?: {
    promptTokenCount?: number;
    toolUsePromptTokenCount?: number;
    candidatesTokenCount?: number;
    thoughtsTokenCount?: number;
    cachedContentTokenCount?: number;
  };
}
interface GeminiPart {
  text?: string;
  thought?: boolean;
  thoughtSignature?: string;
  functionCall?: {
    id?: string;
    name?: string;
    args?: object;
    willContinue?: boolean;
    partialArgs?: { jsonPath: string; stringValue: string }[];
  };
}

export function geminiSaid(bodies: readonly GeminiBody[]): Said {
  const candidates = bodies.flatMap((body) => body.candidates?.[0] ?? []);
  const parts = candidates.flatMap(({ content }) => content?.parts ?? []);
  const texts = (thought: boolean) => parts.map((part) => (Boolean(part.thought) === thought ? (part.text ?? "") : "")).join("");
  const calls = geminiCalls(parts);
  const reason = candidates.find(({ finishReason }) => finishReason)?.finishReason;
  const usage = bodies.at(-1)?.usageMetadata;
  return {
    id: bodies[0]?.responseId,
    model: bodies[0]?.modelVersion,
    text: texts(false),
    refusal: "",
    reasoning: texts(true),
    calls,
    finish: reason === "STOP" ? (calls.length > 0 ? "tool_calls" : "stop") : reason,
    usage: usage && {
      inputTokens: (usage.promptTokenCount ?? 0) + (usage.toolUsePromptTokenCount ?? 0),
      outputTokens: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
      cachedTokens: usage.cachedContentTokenCount ?? 0,
      cacheWriteTokens: 0,
      reasoningTokens: usage.thoughtsTokenCount ?? 0,
    },
  };
}

/** Calls that are whole. Of arguments in pieces, the recordings have only strings at the top. */
function geminiCalls(parts: readonly GeminiPart[]): Said["calls"] {
  const calls: { id: string | undefined; name: string; args: Record<string, unknown>; open: boolean; signature: string | undefined }[] = [];
  for (const { functionCall: piece, thoughtSignature: signature } of parts) {
    if (!piece) continue;
    if (piece.name) calls.push({ id: piece.id, name: piece.name, args: { ...piece.args }, open: false, signature });
    const call = calls.at(-1);
    if (!call) continue;
    for (const { jsonPath, stringValue } of piece.partialArgs ?? []) {
      const key = jsonPath.slice("$.".length);
      call.args[key] = `${call.args[key] ?? ""}${stringValue}`;
    }
    call.open = piece.willContinue === true;
  }
  return calls
    .filter(({ open }) => !open)
    .map(({ id, name, args, signature }) => ({ id, name, args: JSON.stringify(args), ...(signature && { signature }) }));
}
