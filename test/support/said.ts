import type { Usage } from "headgate";
import type { AnswerDialect } from "headgate/testing";
import { anthropicSaid } from "./said/anthropic.ts";
import { cohereSaid } from "./said/cohere.ts";
import { geminiSaid } from "./said/gemini.ts";
import { openaiSaid } from "./said/openai.ts";

/**
 * What an answer says, read from its JSON as plainly as can be. This reading shares no code with the gateway's: it tells
 * what a recording says, and what a client was told.
 */
export interface Said {
  readonly id: string | undefined;
  readonly model: string | undefined;
  readonly text: string;
  readonly refusal: string;
  readonly reasoning: string;
  readonly calls: readonly SaidCall[];
  /** In OpenAI's words. */
  readonly finish: string | undefined;
  readonly usage: Usage | undefined;
}

interface SaidCall {
  readonly id: string | undefined;
  readonly name: string;
  /** JSON text; of a stream that was cut, its beginning. */
  readonly args: string;
  /** Gemini's thought signature. */
  readonly signature?: string;
}

/** Reads a stream's events, or a body alone. */
export function said(dialect: AnswerDialect, jsons: readonly string[]): Said {
  const bodies = jsons.map((json) => JSON.parse(json) as never);
  if (dialect === "openai-chat") return openaiSaid(bodies);
  if (dialect === "anthropic-messages") return anthropicSaid(bodies);
  return dialect === "gemini" ? geminiSaid(bodies) : cohereSaid(bodies);
}

/** The events' JSON in SSE text; `[DONE]` is none. */
export function eventsIn(text: string): string[] {
  return Array.from(text.matchAll(/^data: (\{.*)$/gm), ([, json = ""]) => json);
}

/** What a client of the other dialect can be told of it. */
export function toldTo(client: "openai-chat" | "anthropic-messages", what: Said): Said {
  if (client === "openai-chat") return what;
  const none = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
  return {
    ...what,
    // Anthropic's messages have no place for a refusal's words but the text.
    text: what.text + what.refusal,
    refusal: "",
    calls: what.calls.map(({ signature: _, ...call }) => call),
    // They have to state something.
    usage: what.usage ?? none,
  };
}
