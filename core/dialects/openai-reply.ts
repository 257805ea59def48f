import type { ChatReply, EmbeddingsReply, FinishReason, Json, JsonObject, ToolCall, ToolCallDelta } from "./canonical.ts";
import { isArray, isObject } from "./checks.ts";
import type { UpstreamErrorInfo } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import { unreadable } from "./translation.ts";
import { tidyWireUsage } from "./usage.ts";

/**
 * Reads whole answers of OpenAI-shaped providers. They are the canonical form but for a few habits: Mistral's content
 * lists, `reasoning` for `reasoning_content` (Groq, OpenRouter, vLLM), tool calls without an id (Gemini's own OpenAI layer).
 */
export function readChatReply(body: JsonObject, model: string): ChatReply {
  const { usage, ...rest } = body;
  if (!isArray(body.choices) || body.choices.length === 0) throw unreadable("the reply has no choices");
  const tidy = tidyWireUsage(usage);
  return {
    ...rest,
    id: text(body.id) || makeId("chatcmpl"),
    object: "chat.completion",
    created: typeof body.created === "number" ? body.created : createdNow(),
    model: text(body.model) || model,
    choices: body.choices.map((choice, at) => {
      if (!isObject(choice) || !isObject(choice.message)) throw unreadable("a choice has no message");
      // Mistral says null where there are no tool calls.
      const { tool_calls: calls, ...message } = choice.message;
      const { content = null } = message;
      return {
        ...choice,
        index: Number.isInteger(choice.index) ? Number(choice.index) : at,
        message: {
          ...withText(message),
          role: "assistant",
          content: isArray(content) ? joinText(content) : text(content),
          ...(isArray(calls) && { tool_calls: calls.map(readToolCall) }),
        },
        finish_reason: finishReason(choice.finish_reason) ?? "stop",
      };
    }),
    ...(tidy && { usage: tidy }),
  };
}

function readToolCall(value: Json): ToolCall {
  if (!isObject(value)) throw unreadable("a tool call is not an object");
  // OpenAI's custom tools have no function; only a client of this dialect can have asked for one.
  if (!isObject(value.function)) return value as unknown as ToolCall;
  return {
    ...value,
    id: text(value.id) || makeId("call"),
    type: "function",
    function: { ...value.function, name: text(value.function.name) ?? "", arguments: argumentsText(value.function.arguments) ?? "" },
  };
}

/** A message or delta with its reasoning under the canonical name. */
export function withText(message: JsonObject): JsonObject {
  const { content, reasoning, ...rest } = message;
  const reasoned = text(message.reasoning_content) ?? text(reasoning) ?? (isArray(content) ? joinThinking(content) : null);
  return {
    ...rest,
    ...(content !== undefined && { content: isArray(content) ? joinText(content) : text(content) }),
    ...(reasoned !== null && { reasoning_content: reasoned }),
  };
}

export function text(value: Json | undefined): string | null {
  return typeof value === "string" ? value : null;
}

/** Text of a content list; Mistral's. */
function joinText(parts: readonly Json[]): string {
  return parts.map((part) => (isObject(part) && part.type === "text" ? (text(part.text) ?? "") : "")).join("");
}

function joinThinking(parts: readonly Json[]): string | null {
  const thinking = parts.flatMap((part) => (isObject(part) && part.type === "thinking" ? [part.thinking ?? ""] : []));
  if (thinking.length === 0) return null;
  return thinking.map((each) => (isArray(each) ? joinText(each) : (text(each) ?? ""))).join("");
}

function argumentsText(value: Json | undefined): string | undefined {
  return typeof value === "string" || value === undefined || value === null ? (value ?? undefined) : JSON.stringify(value);
}

/** What a provider says of the end, in OpenAI's words where they differ; null while there is none. */
export function finishReason(value: Json | undefined): FinishReason | null {
  if (typeof value !== "string" || value === "") return null;
  return value === "model_length" ? "length" : (value as FinishReason);
}

/** Assigns each tool call of a stream its place, an id and one name, whatever the provider's habits. */
export class ToolCallTracker {
  readonly #calls = new Map<string, { readonly index: number; readonly id: string }>();
  readonly #counts = new Map<number, number>();

  read(choice: number, value: Json): ToolCallDelta[] {
    if (!isObject(value)) return [];
    const { function: called, id: _, index: __, ...rest } = value;
    const named = isObject(called) ? called : {};
    const id = text(value.id) || undefined;
    const name = text(named.name) || undefined;
    const key = `${choice}:${Number.isInteger(value.index) ? value.index : "last"}`;
    const known = this.#calls.get(key);
    const args = argumentsText(named.arguments);
    // Gemini's own OpenAI layer gives every parallel call the index 0.
    const begins = known === undefined || (id !== undefined && id !== known.id && name !== undefined);
    const call = begins ? { index: this.#counts.get(choice) ?? 0, id: id ?? makeId("call") } : known;
    if (begins) {
      this.#calls.set(key, call);
      this.#counts.set(choice, call.index + 1);
    }
    return [
      {
        ...rest,
        index: call.index,
        ...(begins && { id: call.id, type: "function" }),
        function: { ...(begins && { name: name ?? "" }), ...(args !== undefined && { arguments: args }) },
      } as ToolCallDelta,
    ];
  }
}

export function readEmbeddingsReply(body: JsonObject, model: string): EmbeddingsReply {
  const valid = (each: Json) => isObject(each) && (isArray(each.embedding) || typeof each.embedding === "string");
  if (!isArray(body.data) || !body.data.every(valid)) throw unreadable("the reply has no embeddings");
  const usage = tidyWireUsage(body.usage);
  return {
    ...body,
    object: "list",
    data: body.data as unknown as EmbeddingsReply["data"],
    model: text(body.model) || model,
    usage: { prompt_tokens: usage?.prompt_tokens ?? 0, total_tokens: usage?.total_tokens ?? 0 },
  };
}

/** OpenAI's error body, and its relatives: Mistral's and vLLM's flat ones, FastAPI's `detail`, Gemini's in a list. */
export function readErrorBody(body: Json): UpstreamErrorInfo {
  const outer = isArray(body) ? body[0] : body;
  if (typeof outer === "string") return { message: outer };
  if (!isObject(outer)) return {};
  if (typeof outer.error === "string") return { message: outer.error };
  const error = isObject(outer.error) ? outer.error : outer;
  const detail = isArray(error.detail) && isObject(error.detail[0]) ? error.detail[0].msg : error.detail;
  const message = text(error.message) ?? text(detail);
  const code = typeof error.code === "number" ? String(error.code) : text(error.code);
  const type = text(error.type);
  const param = text(error.param);
  return {
    ...(message !== null && { message }),
    ...(type !== null && { type }),
    ...(code !== null && { code }),
    ...(param !== null && { param }),
  };
}
