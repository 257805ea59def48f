import type { GatewayError } from "../errors.ts";
import type { ChatReply, ChatRequest, ContentPart, JsonObject, Message, ReasoningDetail, TextPart } from "./canonical.ts";
import { unsupported, unsupportedPart } from "./checks.ts";
import type { ClientDialect, Dialect, UpstreamDialect, WrittenRequest } from "./dialect.ts";
import { readChatReply, readEmbeddingsReply, readErrorBody } from "./openai-reply.ts";
import { checkChatRequest, checkEmbeddingsRequest } from "./openai-request.ts";
import { OpenAiStreamReader } from "./openai-stream.ts";
import { OpenAiStreamWriter, writeChatReply } from "./openai-writer.ts";
import { thinkingBudget } from "./translation.ts";
import { readWireUsage } from "./usage.ts";

const NAME = "openai-chat";

const client: ClientDialect = {
  routes: [
    { method: "POST", path: "/v1/chat/completions", operation: "chat" },
    { method: "POST", path: "/v1/embeddings", operation: "embeddings" },
    { method: "GET", path: "/v1/models", operation: "models" },
  ],
  readRequest(operation, body) {
    if (operation === "models") return { model: "", messages: [] };
    return Object.freeze(operation === "embeddings" ? checkEmbeddingsRequest(body) : checkChatRequest(body));
  },
  writeReply: (operation, reply) => (operation === "chat" ? writeChatReply(reply as ChatReply) : (reply as unknown as JsonObject)),
  streamWriter: ({ request }) => new OpenAiStreamWriter(request as ChatRequest),
  errorBody: writeError,
  errorEvent: (error) => `data: ${JSON.stringify(writeError(error))}\n\n`,
};

const upstream: UpstreamDialect = {
  path: (operation) => (operation === "chat" ? "/chat/completions" : operation === "embeddings" ? "/embeddings" : null),
  writeRequest(operation, request, model) {
    if (operation === "embeddings") return { body: { ...request, model } as JsonObject, dropped: [] };
    return writeChatRequest(request as ChatRequest, model);
  },
  patchRequest(operation, wire, original, request, model) {
    const changed = Object.keys({ ...original, ...request }).filter((name) => original[name] !== request[name]);
    const body = { ...wire, ...Object.fromEntries(changed.map((name) => [name, request[name]])), model } as JsonObject;
    return { body: operation === "chat" ? askForUsage(body) : body, dropped: [] };
  },
  readReply: (operation, body, request) =>
    operation === "embeddings" ? readEmbeddingsReply(body, request.model) : readChatReply(body, request.model),
  readUsage: (_, body) => readWireUsage(body.usage),
  streamReader: ({ model }) => new OpenAiStreamReader(model),
  readError: (_, body) => readErrorBody(body),
};

/** OpenAI's chat completions and embeddings, and all that is compatible with them. */
export const openaiChat: Dialect = { name: NAME, client, upstream };

function writeError(error: GatewayError): JsonObject {
  return { error: { message: error.message, type: error.type("openai"), param: error.param, code: error.code } };
}

function askForUsage(body: JsonObject): JsonObject {
  if (body.stream !== true) return body;
  return { ...body, stream_options: { ...(body.stream_options as JsonObject | null | undefined), include_usage: true } };
}

/**
 * A request of another dialect. What the canonical form added for it goes:
 * - `thinking` becomes `reasoning_effort`, by its budget; thinking that is off or adaptive is left to the model;
 * - thinking blocks with a signature are their provider's own and go; those without came from a provider of this dialect
 *   as `reasoning_content` and go back as that, which DeepSeek and Kimi require between tool calls;
 * - cache markers go, and `is_error` is said in the text.
 * The output limit keeps its name: `max_tokens` is what all compatible servers take, and the providers that do not adapt it.
 */
function writeChatRequest(request: ChatRequest, model: string): WrittenRequest {
  const { foreign, thinking, messages, tools, reasoning_effort: effort, ...rest } = request;
  const [refused] = Object.keys(foreign?.fields ?? {});
  if (refused !== undefined) throw unsupported(refused, NAME);
  const dropped = new Set(Object.keys(foreign?.hints ?? {}));
  const budget = thinkingBudget(request);
  if (thinking && budget === undefined) dropped.add("thinking");
  const wanted = effort ?? (budget === undefined ? undefined : effortOf(budget));
  const body = {
    ...rest,
    model,
    messages: messages.map((message) => writeMessage(message, dropped)),
    ...(tools && {
      tools: tools.map(({ cache_control: marker, ...tool }) => {
        if (marker) dropped.add("tools[].cache_control");
        return tool;
      }),
    }),
    // Anthropic's highest is one that OpenAI does not have.
    ...(wanted !== undefined && { reasoning_effort: wanted === "max" ? "high" : wanted }),
  };
  return { body: askForUsage(body as unknown as JsonObject), dropped: [...dropped] };
}

/** A thinking budget in tokens as OpenAI's levels, which have no published figures. */
function effortOf(budget: number): string {
  return budget < 4096 ? "low" : budget < 16_384 ? "medium" : "high";
}

function writeMessage(message: Message, dropped: Set<string>): Message {
  const content = writeContent(message.content, dropped);
  if (message.role === "tool") {
    const { is_error: failed, ...rest } = message;
    return { ...rest, content: failed ? markError(content ?? "") : (content ?? "") };
  }
  if (message.role !== "assistant") return { ...message, content: content ?? "" };
  const { reasoning_details: details = [], tool_calls: calls, ...rest } = message;
  const reasoning = details.filter(isUnsigned).map((detail) => detail.thinking);
  if (reasoning.length < details.length) dropped.add("messages[].reasoning_details");
  return {
    ...rest,
    ...(content !== undefined && { content }),
    ...(reasoning.length > 0 && { reasoning_content: reasoning.join("") }),
    ...(calls && {
      tool_calls: calls.map(({ cache_control: marker, ...call }) => {
        if (marker) dropped.add("messages[].tool_calls[].cache_control");
        return call;
      }),
    }),
  };
}

function isUnsigned(detail: ReasoningDetail): detail is ReasoningDetail & { type: "thinking" } {
  return detail.type === "thinking" && !detail.signature;
}

function writeContent<T extends string | null | undefined>(content: T | readonly ContentPart[], dropped: Set<string>): T | ContentPart[] {
  if (!Array.isArray(content)) return content as T;
  return (content as readonly ContentPart[]).map((part) => {
    if (part.type === "foreign") throw unsupportedPart(part, NAME);
    const { cache_control: marker, ...rest } = part;
    if (marker) dropped.add("messages[].content[].cache_control");
    return rest as ContentPart;
  });
}

function markError(content: string | readonly ContentPart[]): string | readonly ContentPart[] {
  if (typeof content === "string") return `Error: ${content}`;
  return [{ type: "text", text: "Error:" } satisfies TextPart, ...content];
}
