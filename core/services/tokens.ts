import { token } from "../di.ts";
import type { ChatRequest } from "../dialects/canonical.ts";

export interface TokenCount {
  readonly tokens: number;
  /** True when the text was too long or too repetitive to encode within the event-loop budget, or has no known encoding. */
  readonly estimated: boolean;
}

/** Counts tokens without ever holding the event loop for more than 50 ms. */
export interface Tokens {
  /** Tokens of a plain text under the encoding nearest to `model`. */
  text(text: string, model?: string): TokenCount;
  /** Tokens of a whole chat request: messages, tools, images and the format's own overhead. */
  request(request: ChatRequest, model?: string): TokenCount;
}

export const Tokens = token<Tokens>("tokens");
