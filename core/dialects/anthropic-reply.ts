import type {
  ChatChoice,
  ChatReply,
  CountReply,
  FinishReason,
  Json,
  JsonObject,
  ReasoningDetail,
  ToolCall,
  Usage,
  WireUsage,
} from "./canonical.ts";
import { isArray, isObject } from "./checks.ts";
import type { UpstreamErrorInfo } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import { parseObject } from "./json-text.ts";
import { unreadable } from "./translation.ts";
import { latestUsage, readWireUsage, statedUsage, tokenCount, writeWireUsage } from "./usage.ts";

/** Whole answers, both ways. */

const FINISH = new Map<Json | undefined, FinishReason>([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["pause_turn", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "tool_calls"],
  ["refusal", "content_filter"],
]);

/** Anthropic's stop reason in OpenAI's words; null while there is none. */
export function finishReason(stopReason: Json | undefined): FinishReason | null {
  if (typeof stopReason !== "string") return null;
  return FINISH.get(stopReason) ?? "stop";
}

/** OpenAI's finish reason in Anthropic's words. Some servers say `stop` after tool calls. */
export function stopReason(finish: FinishReason | null | undefined, sequence: string | null | undefined, calls: boolean): string {
  if (finish === "length") return "max_tokens";
  if (finish === "content_filter") return "refusal";
  if (finish === "tool_calls" || finish === "function_call" || calls) return "tool_use";
  return sequence ? "stop_sequence" : "end_turn";
}

/** Why Anthropic refused, in words, where it says so. */
export function refusalText(details: Json | undefined): string | null {
  return isObject(details) && typeof details.explanation === "string" ? details.explanation : null;
}

/** Counts only grow: what `message_delta` says over what `message_start` said. Until one states its output, that is uncertain. */
export function mergeUsage(earlier: Usage | null, value: Json | undefined): Usage | null {
  const merged = latestUsage(earlier, readAnthropicUsage(value, earlier));
  if (merged === null) return null;
  const { uncertain: _, ...settled } = merged;
  const final = earlier !== null && isObject(value) && tokenCount(value.output_tokens) === merged.outputTokens;
  return final ? settled : { ...settled, uncertain: true };
}

/** Canonical usage counts cached input among the input; Anthropic's does not. What is not stated again stays as it was. */
export function readAnthropicUsage(value: Json | undefined, earlier: Usage | null = null): Usage | null {
  if (!isObject(value)) return null;
  const uncached = tokenCount(value.input_tokens) ?? (earlier && earlier.inputTokens - earlier.cachedTokens - earlier.cacheWriteTokens);
  const cached = tokenCount(value.cache_read_input_tokens) ?? earlier?.cachedTokens ?? 0;
  const cacheWrite = tokenCount(value.cache_creation_input_tokens) ?? earlier?.cacheWriteTokens ?? 0;
  const details = isObject(value.output_tokens_details) ? value.output_tokens_details : {};
  return statedUsage({
    input: uncached === null ? null : uncached + cached + cacheWrite,
    output: tokenCount(value.output_tokens) ?? earlier?.outputTokens ?? null,
    cached,
    cacheWrite,
    reasoning: tokenCount(details.thinking_tokens),
  });
}

export function writeAnthropicUsage(usage: WireUsage | null | undefined): JsonObject {
  const { inputTokens, outputTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = readWireUsage(usage) ?? {
    inputTokens: 0,
    outputTokens: 0,
    cachedTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
  };
  return {
    input_tokens: inputTokens - cachedTokens - cacheWriteTokens,
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
    ...(reasoningTokens > 0 && { output_tokens_details: { thinking_tokens: reasoningTokens } }),
  };
}

/** Anthropic's message as a canonical reply. Blocks of its own server tools have no words here and are left out. */
export function readReply(body: JsonObject, model: string): ChatReply {
  if (!isArray(body.content)) throw unreadable("the message has no content");
  const blocks = body.content.filter(isObject);
  const texts = blocks.filter((block) => block.type === "text").map((block) => string(block.text));
  const details = blocks.flatMap(readThought);
  const calls = blocks.flatMap(readToolUse);
  const thinking = details.flatMap((detail) => (detail.type === "thinking" ? [detail.thinking] : []));
  const refusal = refusalText(body.stop_details);
  const usage = readAnthropicUsage(body.usage);
  const choice: ChatChoice = {
    index: 0,
    message: {
      role: "assistant",
      content: texts.length === 0 && calls.length > 0 ? null : texts.join(""),
      ...(refusal !== null && { refusal }),
      ...(thinking.length > 0 && { reasoning_content: thinking.join("") }),
      ...(details.length > 0 && { reasoning_details: details }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
    finish_reason: finishReason(body.stop_reason) ?? "stop",
    ...(typeof body.stop_sequence === "string" && { stop_sequence: body.stop_sequence }),
  };
  return {
    id: string(body.id) || makeId("msg"),
    object: "chat.completion",
    created: createdNow(),
    model: string(body.model) || model,
    choices: [choice],
    ...(usage && { usage: writeWireUsage(usage) }),
  };
}

export function string(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function readThought(block: JsonObject): ReasoningDetail[] {
  if (block.type === "redacted_thinking") return [{ type: "redacted_thinking", data: string(block.data) }];
  if (block.type !== "thinking") return [];
  const signature = string(block.signature);
  return [{ type: "thinking", thinking: string(block.thinking), ...(signature && { signature }) }];
}

function readToolUse(block: JsonObject): ToolCall[] {
  if (block.type !== "tool_use") return [];
  const { name, input = {} } = block;
  return [
    { id: string(block.id) || makeId("toolu"), type: "function", function: { name: string(name), arguments: JSON.stringify(input) } },
  ];
}

/** A canonical reply as Anthropic's message. Of several choices the first, since its clients cannot ask for more. */
export function writeReply(reply: ChatReply): JsonObject {
  const [choice] = reply.choices;
  if (!choice) throw unreadable("the reply has no choices");
  const { message, finish_reason: finish, stop_sequence: sequence = null } = choice;
  const calls = message.tool_calls ?? [];
  const said = (message.content ?? "") + (message.refusal ?? "");
  return {
    id: reply.id,
    type: "message",
    role: "assistant",
    model: reply.model,
    content: [
      ...writeThoughts(message),
      ...(said ? [{ type: "text", text: said }] : []),
      ...calls.map((call) => ({ type: "tool_use", id: call.id, name: call.function.name, input: writeInput(call, finish) })),
    ],
    stop_reason: message.refusal ? "refusal" : stopReason(finish, sequence, calls.length > 0),
    stop_sequence: sequence,
    usage: writeAnthropicUsage(reply.usage),
  };
}

function writeThoughts({ reasoning_content: text, reasoning_details: details }: ChatChoice["message"]): JsonObject[] {
  const known = (details ?? []).filter((detail) => detail.type === "thinking" || detail.type === "redacted_thinking");
  if (known.length > 0) return known.map((detail) => (detail.type === "thinking" ? { signature: "", ...detail } : detail));
  return text ? [{ type: "thinking", thinking: text, signature: "" }] : [];
}

/** Arguments as an object. Those that the output limit cut short are no object yet; Anthropic shows none then. */
function writeInput({ function: called }: ToolCall, finish: FinishReason): JsonObject {
  if (called.arguments.trim() === "") return {};
  const input = parseObject(called.arguments);
  if (input === null && finish !== "length") throw unreadable("a tool call's arguments are not a JSON object");
  return input ?? {};
}

export function readCount(body: JsonObject): CountReply {
  const count = tokenCount(body.input_tokens);
  if (count === null) throw unreadable("the reply has no token count");
  return { input_tokens: count };
}

/** `{ type: "error", error: { type, message } }`; proxies in front of Anthropic send less. */
export function readErrorBody(body: Json): UpstreamErrorInfo {
  if (!isObject(body)) return {};
  const error = isObject(body.error) ? body.error : body;
  return {
    ...(typeof error.message === "string" && { message: error.message }),
    ...(typeof error.type === "string" && { type: error.type }),
  };
}
