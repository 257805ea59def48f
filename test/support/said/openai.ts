import type { Usage } from "headgate";
import type { Said } from "../said.ts";

type Part = string | { type: string; text?: string; thinking?: { text: string }[] };
interface OpenAiMessage {
  content?: string | Part[] | null;
  reasoning_content?: string | null;
  reasoning?: string | null;
  refusal?: string | null;
  tool_calls?:
    | {
        index?: number;
        id?: string;
        function?: { name?: string; arguments?: string };
        extra_content?: { google?: { thought_signature?: string } };
      }[]
    | null;
}
interface OpenAiBody {
  id?: string;
  model?: string;
  choices?: { index?: number; message?: OpenAiMessage; delta?: OpenAiMessage; finish_reason?: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number; cache_creation_tokens?: number } | null;
    completion_tokens_details?: { reasoning_tokens?: number } | null;
  } | null;
}

export function openaiSaid(bodies: readonly OpenAiBody[]): Said {
  const choices = bodies.flatMap((body) => body.choices ?? []).filter(({ index = 0 }) => index === 0);
  const messages = choices.map(({ message, delta }) => message ?? delta ?? {});
  const parts = messages.flatMap(({ content }) => content ?? []);
  const calls: { id: string | undefined; name: string; args: string; signature?: string }[] = [];
  const places = new Map<number, number>();
  for (const message of messages) {
    for (const [at, call] of (message.tool_calls ?? []).entries()) {
      const { index = at, id, function: called = {}, extra_content: extra } = call;
      if (!places.has(index)) places.set(index, calls.push({ id: id || undefined, name: "", args: "" }) - 1);
      const place = calls[places.get(index) ?? 0];
      if (!place) continue;
      place.name += called.name ?? "";
      place.args += called.arguments ?? "";
      if (extra?.google?.thought_signature) place.signature = extra.google.thought_signature;
    }
  }
  return {
    id: bodies.find(({ id }) => id)?.id,
    model: bodies.find(({ model }) => model)?.model,
    text: parts.map((part) => (typeof part === "string" ? part : (part.text ?? ""))).join(""),
    refusal: messages.map(({ refusal }) => refusal ?? "").join(""),
    reasoning:
      messages.map((message) => message.reasoning_content ?? message.reasoning ?? "").join("") +
      parts.flatMap((part) => (typeof part === "object" ? (part.thinking ?? []) : [])).reduce((all, { text }) => all + text, ""),
    calls,
    finish: choices.find(({ finish_reason: finish }) => finish)?.finish_reason ?? undefined,
    usage: openaiUsage(bodies.findLast(({ usage }) => usage)?.usage),
  };
}

/** The total is what is paid for: what of it is in neither part was generated too (xAI, and Gemini in OpenAI's form). */
function openaiUsage(usage: OpenAiBody["usage"]): Usage | undefined {
  if (!usage) return undefined;
  return {
    inputTokens: usage.prompt_tokens,
    outputTokens: usage.total_tokens - usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    cacheWriteTokens: usage.prompt_tokens_details?.cache_creation_tokens ?? 0,
    reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}
