import type { FinishReason, Usage } from "../dialects/canonical.ts";
import { anthropicFrames, anthropicReply } from "./answers-anthropic.ts";
import { cohereFrames, cohereReply } from "./answers-cohere.ts";
import { geminiFrames, geminiReply } from "./answers-gemini.ts";
import { openaiFrames, openaiReply } from "./answers-openai.ts";
import type { Script, UpstreamCall } from "./scripted-upstream.ts";
import { json, sse } from "./scripts.ts";

/** What a provider is to say, whatever its format. */
export interface Answer {
  /** Or its pieces, as they are streamed; a text is streamed word by word. */
  readonly text?: string | readonly string[];
  readonly reasoning?: string;
  readonly toolCalls?: readonly { readonly id?: string; readonly name: string; readonly arguments: unknown }[];
  readonly model?: string;
  readonly id?: string;
  /** `tool_calls` with tool calls, else `stop`, unless stated. */
  readonly finish?: FinishReason;
  /** 10 tokens in and one out for each piece, unless stated. */
  readonly usage?: Partial<Usage>;
}

/** An answer with everything filled in, as the writers of the formats take it. */
export interface FullAnswer {
  readonly pieces: readonly string[];
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly id: string; readonly name: string; readonly value: unknown; readonly pieces: readonly string[] }[];
  readonly model: string;
  readonly id: string;
  readonly finish: FinishReason;
  readonly usage: Usage;
}

const FORMATS = {
  "openai-chat": { reply: openaiReply, frames: openaiFrames },
  "anthropic-messages": { reply: anthropicReply, frames: anthropicFrames },
  gemini: { reply: geminiReply, frames: geminiFrames },
  cohere: { reply: cohereReply, frames: cohereFrames },
} as const satisfies Record<string, { reply(answer: FullAnswer): object; frames(answer: FullAnswer): string[] }>;

export type AnswerDialect = keyof typeof FORMATS;

/** The body of a whole answer as a provider of this dialect writes it. */
export function replyIn(dialect: AnswerDialect, answer: Answer): object {
  return FORMATS[dialect].reply(fullAnswer(answer));
}

/** The frames of a streamed answer as a provider of this dialect writes them, usage and terminator included. */
export function framesIn(dialect: AnswerDialect, answer: Answer): string[] {
  return FORMATS[dialect].frames(fullAnswer(answer));
}

/** Answers any request of this dialect, streamed when it asks for a stream, and enters the usage in the ledger. */
export function answerIn(dialect: AnswerDialect, answer: Answer): (call: UpstreamCall) => Script {
  const { usage } = fullAnswer(answer);
  return (call) => (asksForStream(call) ? sse(framesIn(dialect, answer), { usage }) : json(replyIn(dialect, answer), { usage }));
}

export function fullAnswer(answer: Answer): FullAnswer {
  const pieces = typeof answer.text === "object" ? answer.text : (answer.text?.match(/\s*\S+\s*$|\s*\S+/g) ?? []);
  const calls = (answer.toolCalls ?? []).map((call, index) => ({
    id: call.id ?? `call_${index + 1}`,
    name: call.name,
    value: call.arguments,
    pieces: JSON.stringify(call.arguments).match(/.{1,9}/gsu) ?? [],
  }));
  const outputTokens = Math.max(
    1,
    pieces.length + calls.reduce((sum, call) => sum + 1 + call.pieces.length, 0) + (answer.reasoning ? 5 : 0),
  );
  return {
    pieces,
    text: pieces.join(""),
    reasoning: answer.reasoning ?? "",
    calls,
    model: answer.model ?? "test-model",
    id: answer.id ?? "answer_1",
    finish: answer.finish ?? (calls.length > 0 ? "tool_calls" : "stop"),
    usage: {
      inputTokens: 10,
      outputTokens,
      cachedTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: answer.reasoning ? 5 : 0,
      ...answer.usage,
    },
  };
}

function asksForStream(call: UpstreamCall): boolean {
  const body = call.json;
  return (
    call.path.includes(":streamGenerateContent") || (typeof body === "object" && body !== null && "stream" in body && body.stream === true)
  );
}
