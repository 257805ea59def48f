import type { ChatReply, ChatRequest, EmbeddingsRequest, Usage } from "../dialects/canonical.ts";
import { askedOutput, choicesOf } from "./output.ts";

/** Output tokens that a model may have thought without showing any, where the call states no maximum. */
const MOST_UNSEEN = 200_000;

/**
 * Whether a call can have used what its provider says. No token of an answer is shorter than a byte, so there are more of
 * them than bytes only where the model thought unseen, which counts toward the call's maximum. `bytes`: of the answer.
 */
export function isCredible(stated: Usage, request: ChatRequest, bytes: number): boolean {
  if (stated.uncertain || stated.inputTokens === 0) return false;
  if (stated.outputTokens === 0) return bytes === 0;
  const most = (askedOutput(request) ?? MOST_UNSEEN) * choicesOf(request);
  return stated.outputTokens <= Math.max(bytes, most);
}

/** Whether anything that counts as output is in an answer. */
export function saysSomething({ choices }: Pick<ChatReply, "choices">): boolean {
  return choices.some(({ message }) => message.content || message.refusal || (message.tool_calls?.length ?? 0) > 0);
}

/** What is to be embedded, as far as it is text, and how many tokens it is where it was encoded already. */
export function embedded({ input }: EmbeddingsRequest): { readonly text: string; readonly tokens: number } {
  const parts: readonly unknown[] = [input].flat(2);
  const texts = parts.filter((part) => typeof part === "string");
  return { text: texts.join("\n"), tokens: parts.length - texts.length };
}
