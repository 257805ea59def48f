/**
 * The canonical form: OpenAI's chat JSON (https://platform.openai.com/docs/api-reference/chat), with the few fields
 * other providers need carried under the names their own OpenAI-compatible layers use. Unknown fields are kept as they
 * came. Requests are read-only: a plugin that changes one assigns a new object to `exchange.request`, sharing what it
 * left alone, and dialects look at which top-level fields are no longer the same object.
 */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

export interface TextPart {
  readonly type: "text";
  readonly text: string;
  /** Anthropic's cache marker; kept where the target has one, dropped elsewhere. */
  readonly cache_control?: Json;
}

export interface ImagePart {
  readonly type: "image_url";
  /** A `data:` URL with base64, or an http(s) URL. */
  readonly image_url: { readonly url: string; readonly detail?: string };
  readonly cache_control?: Json;
}

/** A part that the canonical form has no words for; only a target of the dialect it came from can take it. */
export interface ForeignPart {
  readonly type: "foreign";
  readonly dialect: string;
  /** Its path in the client's own request, for the error. */
  readonly path: string;
  readonly value: JsonObject;
}

export type ContentPart = TextPart | ImagePart | ForeignPart | ({ readonly type: "input_audio" | "file" | "refusal" } & JsonObject);

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` is JSON text. */
  readonly function: { readonly name: string; readonly arguments: string };
  /** Gemini's thought signature travels here, as in Google's own OpenAI layer: `{ google: { thought_signature } }`. */
  readonly extra_content?: Json;
  readonly cache_control?: Json;
}

/** A thinking block with what the provider needs to get back to go on from it. */
export type ReasoningDetail =
  | { readonly type: "thinking"; readonly thinking: string; readonly signature?: string }
  | { readonly type: "redacted_thinking"; readonly data: string };

export interface SystemMessage {
  readonly role: "system" | "developer";
  readonly content: string | readonly ContentPart[];
  readonly name?: string;
}
export interface UserMessage {
  readonly role: "user";
  readonly content: string | readonly ContentPart[];
  readonly name?: string;
}
export interface AssistantMessage {
  readonly role: "assistant";
  readonly content?: string | null | readonly ContentPart[];
  readonly refusal?: string | null;
  readonly tool_calls?: readonly ToolCall[];
  /** Plain reasoning text (DeepSeek, xAI, vLLM and others). */
  readonly reasoning_content?: string | null;
  /** The same with signatures; wins over `reasoning_content` when both are there. */
  readonly reasoning_details?: readonly ReasoningDetail[];
  readonly name?: string;
}
export interface ToolMessage {
  readonly role: "tool";
  readonly tool_call_id: string;
  readonly content: string | readonly ContentPart[];
  /** Anthropic's flag; noted in the text where the target has none. */
  readonly is_error?: boolean;
}
export type Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage;

export interface Tool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: JsonObject;
    readonly strict?: boolean | null;
  };
  readonly cache_control?: Json;
}

export type ToolChoice = "none" | "auto" | "required" | { readonly type: "function"; readonly function: { readonly name: string } };

export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | {
      readonly type: "json_schema";
      readonly json_schema: {
        readonly name: string;
        readonly description?: string;
        readonly schema?: JsonObject;
        readonly strict?: boolean | null;
      };
    };

/** What the canonical form has no words for, by its path in the client's own request. */
export interface ForeignFields {
  readonly dialect: string;
  /** These change the answer: a target of another dialect refuses them. */
  readonly fields: JsonObject;
  /** These do not: a target of another dialect leaves them out and says so. */
  readonly hints: JsonObject;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly stream?: boolean | null;
  readonly stream_options?: { readonly include_usage?: boolean; readonly [key: string]: Json | undefined } | null;
  readonly max_tokens?: number | null;
  readonly max_completion_tokens?: number | null;
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  /** Not OpenAI's; Anthropic, Gemini, Cohere and most open servers have it. */
  readonly top_k?: number | null;
  readonly stop?: string | readonly string[] | null;
  readonly n?: number | null;
  readonly seed?: number | null;
  readonly logprobs?: boolean | null;
  readonly top_logprobs?: number | null;
  readonly frequency_penalty?: number | null;
  readonly presence_penalty?: number | null;
  readonly tools?: readonly Tool[];
  readonly tool_choice?: ToolChoice;
  readonly parallel_tool_calls?: boolean;
  readonly response_format?: ResponseFormat;
  readonly reasoning_effort?: string | null;
  /** Anthropic's thinking budget, where the client stated it in tokens. */
  readonly thinking?: JsonObject;
  readonly user?: string;
  readonly foreign?: ForeignFields;
  readonly [key: string]: unknown;
}

export interface EmbeddingsRequest {
  readonly model: string;
  readonly input: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  readonly dimensions?: number;
  readonly encoding_format?: "float" | "base64";
  readonly user?: string;
  readonly [key: string]: unknown;
}

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "function_call";

export interface WireUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number; cache_creation_tokens?: number } & Record<string, unknown>;
  completion_tokens_details?: { reasoning_tokens?: number } & Record<string, unknown>;
}

export interface ChatChoice {
  index: number;
  message: {
    role: "assistant";
    content: string | null;
    refusal?: string | null;
    tool_calls?: ToolCall[];
    reasoning_content?: string | null;
    reasoning_details?: ReasoningDetail[];
    annotations?: unknown[];
  };
  logprobs?: unknown;
  finish_reason: FinishReason;
  /** Anthropic's `stop_sequence`, when one of the caller's own ended the answer. */
  stop_sequence?: string | null;
}

export interface ChatReply {
  id: string;
  object: "chat.completion";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: ChatChoice[];
  usage?: WireUsage;
  [key: string]: unknown;
}

export interface ToolCallDelta {
  index: number;
  id?: string;
  type?: "function";
  function?: { name?: string; arguments?: string };
  extra_content?: Json;
}

export interface ChunkChoice {
  index: number;
  delta: {
    role?: "assistant";
    content?: string | null;
    refusal?: string | null;
    tool_calls?: ToolCallDelta[];
    reasoning_content?: string | null;
    reasoning_details?: ReasoningDetail[];
  };
  logprobs?: unknown;
  finish_reason?: FinishReason | null;
  stop_sequence?: string | null;
}

export interface ChatChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: ChunkChoice[];
  usage?: WireUsage | null;
  [key: string]: unknown;
}

export interface EmbeddingsReply {
  object: "list";
  data: { object: "embedding"; index: number; embedding: number[] | string }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
  [key: string]: unknown;
}

/** Answer to count_tokens: Anthropic's `{ input_tokens }`. */
export interface CountReply {
  input_tokens: number;
}

/** What a call used, all integers; the basis of billing. */
export interface Usage {
  /** All input tokens, cached ones included. */
  inputTokens: number;
  /** All output tokens, reasoning included. */
  outputTokens: number;
  /** Of the input: read from the provider's prompt cache. */
  cachedTokens: number;
  /** Of the input: written to the provider's prompt cache. */
  cacheWriteTokens: number;
  /** Of the output: reasoning. */
  reasoningTokens: number;
  /** Not the last word: stated before the answer was, or contradicted later. */
  uncertain?: true;
}
