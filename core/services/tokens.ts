import { hash } from "node:crypto";
import { token } from "../di.ts";
import type { ChatRequest } from "../dialects/canonical.ts";
import { type Encoding, encoderOf } from "./token-encoders.ts";
import { encodingCost, longestWithin, sampledTokens } from "./token-estimate.ts";
import { requestParts } from "./token-parts.ts";

export interface TokenCount {
  readonly tokens: number;
  /** True when the text was too long or too repetitive to encode within the event-loop budget, or has no known encoding. */
  readonly estimated: boolean;
}

/**
 * Counts tokens without ever holding the event loop for more than 50 ms, whatever the text. The first count in an encoding
 * also loads it, at most once in a process: o200k_base in some 50 ms from the second start on, cl100k_base in 100 ms.
 */
export interface Tokens {
  /** Loads the usual encoding; the gateway calls it before it opens its port, so that no request waits for that. */
  warm?(): void;
  /** Tokens of a plain text under the encoding nearest to `model`; without one, under o200k_base. */
  text(text: string, model?: string): TokenCount;
  /** Tokens of a whole chat request: messages, tools, images and the format's own overhead. `model` is the request's own by default. */
  request(request: ChatRequest, model?: string): TokenCount;
}

/** Microseconds of encoding that one count may cost by estimate; sampling what is left over costs some 16 ms more at worst. */
const BUDGET = 20_000;
const LONGEST = longestWithin(BUDGET);
/** Microseconds to look a text up, and for each of its characters to hash it and judge its cost. */
const LOOK_UP = 1;
const LOOK_AT = 0.05;
/** Counts kept. Keys have at most 65 characters, so this also bounds the memory: some two megabytes. */
const CACHED = 10_000;

class TiktokenTokens implements Tokens {
  readonly #counts = new Map<string, number>();

  warm(): void {
    encode("warm", "o200k_base");
  }

  text(text: string, model?: string): TokenCount {
    const { encoding, known } = encodingFor(model);
    const { tokens, estimated } = this.#count([text], encoding);
    return { tokens, estimated: estimated || !known };
  }

  request(request: ChatRequest, model: string = request.model): TokenCount {
    const { encoding, known } = encodingFor(model);
    const parts = requestParts(request);
    const { tokens, estimated } = this.#count(parts.texts, encoding);
    return { tokens: parts.fixed + tokens, estimated: estimated || parts.estimated || !known };
  }

  /** Encodes texts in order while the budget lasts; the others are sampled together. */
  #count(texts: readonly string[], encoding: Encoding): TokenCount {
    const unencoded: string[] = [];
    let budget = BUDGET;
    let tokens = 0;
    for (const text of texts) {
      if (text === "") continue;
      if (budget <= 0 || text.length > LONGEST) {
        unencoded.push(text);
        continue;
      }
      budget -= LOOK_UP + text.length * LOOK_AT;
      const key = keyOf(text, encoding);
      const known = this.#counts.get(key);
      const cost = known === undefined ? encodingCost(text, budget) : 0;
      if (cost > budget) {
        unencoded.push(text);
        continue;
      }
      budget -= cost;
      const count = known ?? encode(text, encoding);
      this.#keep(key, count);
      tokens += count;
    }
    if (unencoded.length === 0) return { tokens, estimated: false };
    return { tokens: tokens + sampledTokens(unencoded, (window) => encode(window, encoding)), estimated: true };
  }

  /** A Map in order of use: what was used longest ago goes first. */
  #keep(key: string, count: number): void {
    this.#counts.delete(key);
    this.#counts.set(key, count);
    if (this.#counts.size > CACHED) this.#counts.delete(this.#counts.keys().next().value as string);
  }
}

function keyOf(text: string, encoding: Encoding): string {
  return encoding[0] + (text.length <= 64 ? text : hash("sha512", text, "base64").slice(0, 64));
}

const O200K = /^(gpt-(4o|4\.[1-9]|[5-9]|oss)|o[1-9](-|$)|chatgpt-|codex-)/;
const CL100K = /^(gpt-(4|3\.5|35)|text-embedding-|davinci-002|babbage-002)/;

/** A fine-tuned model (`ft:gpt-4o:…`) and one behind a provider's prefix (`openai/gpt-4o`) have the encoding of their base. */
function encodingFor(model: string | undefined): { encoding: Encoding; known: boolean } {
  if (model === undefined) return { encoding: "o200k_base", known: true };
  const base = model.slice(model.lastIndexOf("/") + 1).replace(/^ft:/, "");
  if (O200K.test(base)) return { encoding: "o200k_base", known: true };
  if (CL100K.test(base)) return { encoding: "cl100k_base", known: true };
  return { encoding: "o200k_base", known: false };
}

function encode(text: string, encoding: Encoding): number {
  // Nothing is special and nothing is forbidden: a client may write `<|endoftext|>`, and means those characters.
  return encoderOf(encoding).encode(text, [], []).length;
}

export const Tokens = token<Tokens>("tokens", () => new TiktokenTokens());
