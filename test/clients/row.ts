import type { Answer } from "headgate/testing";
import type { ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import type { AnthropicAsk, AnthropicBody, CohereBody, GeminiBody, OpenAiBody } from "./provider-bodies.ts";
import type { Provider } from "./rig.ts";

/** The dialects a client may speak, each named like the client that speaks it. */
export const CLIENTS = ["openai", "anthropic"] as const;
export type Client = (typeof CLIENTS)[number];

/** What becomes of a request at one provider. */
export type Cell<Body = unknown> =
  | { readonly kind: "sent"; readonly body: Body; readonly dropped: readonly string[] }
  | { readonly kind: "refused"; readonly field: string }
  /** The provider has no such answer. */
  | { readonly kind: "never" };

type EachClient<Body> = { readonly kind: "each" } & Readonly<Record<Client, Cell<Body>>>;

/** The body that the provider gets beside the model and the limit on tokens, and what is left out and said so. */
export function sends<Body>(body: Body, ...dropped: string[]): Cell<Body> {
  return { kind: "sent", body, dropped };
}

export function refuses(field: string): Cell<never> {
  return { kind: "refused", field };
}

export const never: Cell<never> = { kind: "never" };

export function each<Body>(cells: Readonly<Record<Client, Cell<Body>>>): EachClient<Body> {
  return { kind: "each", ...cells };
}

/** What a client reads out of an answer, in words that both share. */
export interface Seen {
  readonly text: string;
  /** One text for each choice. */
  readonly texts: readonly string[];
  readonly thinking: string;
  readonly signature: string | undefined;
  readonly calls: readonly { readonly name: string; readonly input: unknown; readonly id: string; readonly extra?: unknown }[];
  /** `finish_reason` or `stop_reason`, as it came. */
  readonly stop: string | null;
  readonly stopSequence: string | null;
  readonly refusal: string | null;
  readonly logprobs: readonly { readonly token: string; readonly logprob: number; readonly top: readonly string[] }[];
  /** `input` with what the cache served or took. */
  readonly usage: { readonly input: number; readonly output: number; readonly cached: number; readonly written: number };
}

/** A provider's answer in its own words: whole, and as the events of a stream. */
export interface RawAnswer {
  readonly reply: object;
  readonly frames: readonly object[];
}

/** One line of the matrix. Every request has the model and `max_tokens: 100` besides. */
export interface Row {
  readonly feature: string;
  /** The provider's model; `m` unless it matters. */
  readonly model?: string;
  /** Absent where a client's API has no words for it. */
  readonly asks: {
    readonly openai?: Partial<ChatCompletionCreateParamsNonStreaming>;
    readonly anthropic?: AnthropicAsk;
  };
  /** By provider; a provider of the client's own dialect gets the client's body as it was. */
  readonly gets: {
    readonly "openai-chat"?: Cell<OpenAiBody>;
    readonly "anthropic-messages"?: Cell<AnthropicBody>;
    readonly gemini: Cell<GeminiBody> | EachClient<GeminiBody>;
    readonly cohere: Cell<CohereBody> | EachClient<CohereBody>;
  };
  /** "Hello to you" unless stated; a provider may have its own. */
  readonly answer?: Answer;
  readonly answers?: Partial<Record<Provider, Answer | RawAnswer>>;
  readonly seen?: Partial<Seen> | ((client: Client, provider: Provider) => Partial<Seen>);
}

export const OWN_DIALECT: Record<Client, Provider> = { openai: "openai-chat", anthropic: "anthropic-messages" };

/** Undefined where the client cannot ask. */
export function cellOf({ asks, gets }: Row, client: Client, provider: Provider): Cell | undefined {
  const ask = asks[client];
  if (!ask) return undefined;
  const cell = gets[provider];
  if (provider === OWN_DIALECT[client]) return cell?.kind === "never" ? cell : sends(ask);
  return cell?.kind === "each" ? cell[client] : cell;
}

/** The common part of most requests. */
export const HI = { role: "user", content: "Hi" } as const;
export const GEMINI_HI = { role: "user" as const, parts: [{ text: "Hi" }] };
