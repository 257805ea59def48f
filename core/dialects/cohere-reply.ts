import { GatewayError } from "../errors.ts";
import type { ChatReply, EmbeddingsReply, EmbeddingsRequest, FinishReason, Json, JsonObject, ToolCall, Usage } from "./canonical.ts";
import { isArray, isObject } from "./checks.ts";
import type { CanonicalReply, CanonicalRequest, Operation, UpstreamErrorInfo } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import { embeddingsReply, unreadable } from "./translation.ts";
import { statedUsage, tokenCount, writeWireUsage } from "./usage.ts";

/** Why an answer ended. A reason that is not here is a failure, such as `ERROR` or `TIMEOUT`. */
const FINISH_REASONS = new Map<unknown, FinishReason>([
  ["COMPLETE", "stop"],
  ["STOP_SEQUENCE", "stop"],
  ["MAX_TOKENS", "length"],
  ["TOOL_CALL", "tool_calls"],
]);

/** The canonical reason, or undefined when the answer failed. */
export function finishReason(reason: Json | undefined): FinishReason | undefined {
  return FINISH_REASONS.get(reason);
}

export function readCohere(operation: Operation, body: JsonObject, request: CanonicalRequest): CanonicalReply {
  return operation === "embeddings" ? readEmbeddings(body, request as EmbeddingsRequest) : readChat(body, request.model);
}

/**
 * What Cohere bills (`billed_units`), which leaves out the text it puts around a prompt itself; where that is not
 * stated, what its model saw (`tokens`). `cached_tokens` is a part of the latter and not billed apart.
 */
export function readCohereUsage(operation: Operation, body: JsonObject): Usage | null {
  const stated = operation === "embeddings" ? body.meta : body.usage;
  if (!isObject(stated)) return null;
  const { billed_units: billed, tokens } = stated;
  if (operation === "embeddings") return isObject(billed) ? statedUsage({ input: tokenCount(billed.input_tokens), output: 0 }) : null;
  const counts = isObject(billed) ? billed : tokens;
  if (!isObject(counts)) return null;
  return statedUsage({
    input: tokenCount(counts.input_tokens),
    output: tokenCount(counts.output_tokens),
    cached: counts === tokens ? tokenCount(stated.cached_tokens) : 0,
  });
}

function readChat(body: JsonObject, requested: string): ChatReply {
  const { message } = body;
  if (!isObject(message)) throw unreadable("no message");
  const reason = finishReason(body.finish_reason);
  if (!reason) throw new GatewayError("upstream_failed", { cause: new Error(`the answer ended with ${String(body.finish_reason)}`) });
  const parts = isArray(message.content) ? message.content.filter(isObject) : [];
  const text = joined(parts.map((part) => part.text));
  const reasoning = joined([message.tool_plan, ...parts.map((part) => part.thinking)]);
  const calls = isArray(message.tool_calls) ? message.tool_calls.map(readCall) : [];
  const usage = readCohereUsage("chat", body);
  const logprobs = readLogprobs(body.logprobs);
  return {
    id: typeof body.id === "string" ? body.id : makeId("chatcmpl"),
    object: "chat.completion",
    created: createdNow(),
    model: requested,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === "" ? null : text,
          refusal: null,
          ...(reasoning !== "" && { reasoning_content: reasoning }),
          ...(calls.length > 0 && { tool_calls: calls }),
        },
        ...(logprobs && { logprobs }),
        finish_reason: reason,
      },
    ],
    ...(usage && { usage: writeWireUsage(usage) }),
  };
}

function joined(texts: readonly (Json | undefined)[]): string {
  return texts.filter((text) => typeof text === "string").join("");
}

function readCall(call: Json): ToolCall {
  const named = isObject(call) ? call.function : undefined;
  if (!isObject(call) || !isObject(named) || typeof named.name !== "string") throw unreadable("a tool call without a name");
  const text = typeof named.arguments === "string" && named.arguments !== "" ? named.arguments : "{}";
  return { id: callId(call.id), type: "function", function: { name: named.name, arguments: text } };
}

export function callId(id: Json | undefined): string {
  return typeof id === "string" && id !== "" ? id : makeId("call");
}

/** Cohere gives a probability for each token of a piece of text; the piece's own is their sum. */
export function readLogprobs(items: Json | undefined): { content: JsonObject[]; refusal: null } | undefined {
  if (!isArray(items)) return undefined;
  const content = items.filter(isObject).map(({ text, logprobs }) => {
    const token = typeof text === "string" ? text : "";
    const each = isArray(logprobs) ? logprobs.filter((logprob) => typeof logprob === "number") : [];
    return { token, logprob: each.reduce((sum, logprob) => sum + logprob, 0), bytes: [...Buffer.from(token)], top_logprobs: [] };
  });
  return { content, refusal: null };
}

function readEmbeddings(body: JsonObject, request: EmbeddingsRequest): EmbeddingsReply {
  const vectors = isObject(body.embeddings) ? body.embeddings.float : undefined;
  return embeddingsReply(vectors, request, readCohereUsage("embeddings", body)?.inputTokens ?? 0);
}

/** `{ message }`, with an `id` at times. */
export function readCohereError(body: Json): UpstreamErrorInfo {
  return isObject(body) && typeof body.message === "string" ? { message: body.message } : {};
}
