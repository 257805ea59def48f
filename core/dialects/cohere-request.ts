import type { AssistantMessage, ChatRequest, ContentPart, EmbeddingsRequest, JsonObject, Message, ToolMessage } from "./canonical.ts";
import { unsupported } from "./checks.ts";
import type { CanonicalRequest, Operation, WrittenRequest } from "./dialect.ts";
import {
  BOOK_KEEPING,
  embeddingInputs,
  type FieldRules,
  functionCalls,
  functionTools,
  leaveOut,
  maxTokens,
  partsOf,
  stopSequences,
  textOf,
  thinkingBudget,
  topK,
} from "./translation.ts";

const TARGET = "Cohere";

/** Canonical fields with a counterpart here. All others are refused, such as `n` over 1, `top_logprobs` or `logit_bias`. */
const CHAT_FIELDS: FieldRules = {
  target: TARGET,
  translated: new Set([
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "seed",
    "logprobs",
    "frequency_penalty",
    "presence_penalty",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
  ]),
  dropped: BOOK_KEEPING,
};

const EMBEDDINGS_FIELDS: FieldRules = {
  target: TARGET,
  translated: new Set(["model", "input", "dimensions", "encoding_format", "input_type"]),
  dropped: new Set(["user"]),
};

/** Cohere demands to be told what its vectors are for, which OpenAI's clients do not say: texts to be found, unless `input_type` says otherwise. */
const INPUT_TYPE = "search_document";

export function writeCohere(operation: Operation, request: CanonicalRequest, model: string): WrittenRequest {
  if (operation === "embeddings") return writeEmbeddings(request as EmbeddingsRequest, model);
  return writeChat(request as ChatRequest, model);
}

function writeChat(request: ChatRequest, model: string): WrittenRequest {
  const dropped = leaveOut(request, CHAT_FIELDS);
  const body = {
    model,
    messages: request.messages.map((message, index) => writeMessage(message, `messages[${index}]`, dropped)),
    stream: request.stream ?? undefined,
    max_tokens: maxTokens(request),
    temperature: request.temperature ?? undefined,
    p: request.top_p ?? undefined,
    k: topK(request),
    stop_sequences: stopSequences(request),
    seed: request.seed ?? undefined,
    logprobs: request.logprobs ?? undefined,
    frequency_penalty: request.frequency_penalty ?? undefined,
    presence_penalty: request.presence_penalty ?? undefined,
    ...writeTools(request, dropped),
    response_format: writeFormat(request, dropped),
    thinking: writeThinking(request, dropped),
  };
  return { body, dropped: [...dropped] };
}

function writeMessage(message: Message, path: string, dropped: Set<string>): JsonObject {
  if (message.role !== "tool" && message.name) dropped.add("messages[].name");
  switch (message.role) {
    case "system":
    case "developer":
      return { role: "system", content: writeTexts(message.content, path, dropped) };
    case "user":
      return { role: "user", content: writeUserContent(message.content, path, dropped) };
    case "assistant":
      return writeAssistant(message, path, dropped);
    case "tool":
      return { role: "tool", tool_call_id: message.tool_call_id, content: writeResult(message, path, dropped) };
    default:
      throw unsupported(`${path}.role`, TARGET);
  }
}

function writeUserContent(content: string | readonly ContentPart[], path: string, dropped: Set<string>): string | JsonObject[] {
  if (typeof content === "string") return content;
  return content.map((part, index) => {
    if (part.type !== "image_url") return { type: "text", text: writeText(part, `${path}.content[${index}]`, dropped) };
    if (part.cache_control) dropped.add("messages[].content[].cache_control");
    return { type: "image_url", image_url: { url: part.image_url.url, detail: part.image_url.detail ?? undefined } };
  });
}

function writeTexts(content: string | readonly ContentPart[], path: string, dropped: Set<string>): string | JsonObject[] {
  if (typeof content === "string") return content;
  return content.map((part, index) => ({ type: "text", text: writeText(part, `${path}.content[${index}]`, dropped) }));
}

function writeText(part: ContentPart, path: string, dropped: Set<string>): string {
  if (part.type === "text" && part.cache_control) dropped.add("messages[].content[].cache_control");
  return textOf(part, path, TARGET);
}

/** Cohere has no flag for a failed call; the text says so. */
function writeResult(message: ToolMessage, path: string, dropped: Set<string>): string | JsonObject[] {
  const content = writeTexts(message.content, path, dropped);
  if (!message.is_error) return content;
  return typeof content === "string" ? `Error: ${content}` : [{ type: "text", text: "Error:" }, ...content];
}

/**
 * Plain reasoning before tool calls is what Cohere calls the tool plan, and reads back as such; thinking blocks stay
 * blocks. Signatures are other providers' and are not sent.
 */
function writeAssistant(message: AssistantMessage, path: string, dropped: Set<string>): JsonObject {
  const calls = functionCalls(message, path, TARGET);
  if (calls.some((call) => call.cache_control)) dropped.add("messages[].tool_calls[].cache_control");
  if (calls.some((call) => call.extra_content)) dropped.add("messages[].tool_calls[].extra_content");
  const plan = calls.length > 0 && !message.reasoning_details ? message.reasoning_content : undefined;
  const thoughts = plan ? [] : thoughtsOf(message, dropped);
  const texts = partsOf(message.content).map((part, index) => writeText(part, `${path}.content[${index}]`, dropped));
  if (message.refusal) texts.push(message.refusal);
  const content = [
    ...thoughts.map((thinking) => ({ type: "thinking", thinking })),
    ...texts.filter((text) => text !== "").map((text) => ({ type: "text", text })),
  ];
  return {
    role: "assistant",
    content: content.length > 0 ? content : calls.length > 0 ? undefined : "",
    tool_plan: plan ?? undefined,
    tool_calls:
      calls.length > 0
        ? calls.map(({ id, function: { name, arguments: text } }) => ({ id, type: "function", function: { name, arguments: text } }))
        : undefined,
  };
}

function thoughtsOf({ reasoning_details, reasoning_content }: AssistantMessage, dropped: Set<string>): string[] {
  if (!reasoning_details) return reasoning_content ? [reasoning_content] : [];
  if (reasoning_details.some((detail) => detail.type !== "thinking")) dropped.add("messages[].reasoning_details");
  if (reasoning_details.some((detail) => detail.type === "thinking" && detail.signature)) {
    dropped.add("messages[].reasoning_details[].signature");
  }
  return reasoning_details.flatMap((detail) => (detail.type === "thinking" && detail.thinking ? [detail.thinking] : []));
}

/** Cohere can be made to call some tool, not a certain one; so where one is named, it is the only one offered. */
function writeTools(request: ChatRequest, dropped: Set<string>): JsonObject {
  const tools = functionTools(request, TARGET);
  if (tools.length === 0) return {};
  if (request.parallel_tool_calls === false) throw unsupported("parallel_tool_calls", TARGET);
  if (tools.some((tool) => tool.cache_control)) dropped.add("tools[].cache_control");
  const choice = request.tool_choice ?? "auto";
  if (typeof choice === "object" && choice.type !== "function") throw unsupported("tool_choice", TARGET);
  const offered = typeof choice === "object" ? tools.filter((tool) => tool.function.name === choice.function.name) : tools;
  if (offered.length === 0) throw unsupported("tool_choice.function.name", TARGET);
  const strict = offered.every((tool) => tool.function.strict);
  if (!strict && offered.some((tool) => tool.function.strict)) dropped.add("tools[].function.strict");
  return {
    tools: offered.map(({ function: { name, description, parameters } }) => ({
      type: "function",
      function: { name, description: description ?? undefined, parameters: parameters ?? { type: "object", properties: {} } },
    })),
    strict_tools: strict || undefined,
    tool_choice: choice === "auto" ? undefined : choice === "none" ? "NONE" : "REQUIRED",
  };
}

function writeFormat({ response_format: format }: ChatRequest, dropped: Set<string>): JsonObject | undefined {
  if (!format || format.type === "text") return undefined;
  if (format.type === "json_object") return { type: "json_object" };
  if (format.type !== "json_schema") throw unsupported("response_format", TARGET);
  if (format.json_schema.description) dropped.add("response_format.json_schema.description");
  return { type: "json_object", json_schema: format.json_schema.schema ?? undefined };
}

/** Thinking is on or off, with a budget where the client stated one; the degrees between are left out. */
function writeThinking(request: ChatRequest, dropped: Set<string>): JsonObject | undefined {
  const { thinking, reasoning_effort: effort } = request;
  if (thinking?.type === "disabled" || effort === "none") return { type: "disabled" };
  if (!thinking && !effort) return undefined;
  const budget = thinkingBudget(request);
  if (effort && effort !== "high" && budget === undefined) dropped.add("reasoning_effort");
  return { type: "enabled", token_budget: budget };
}

function writeEmbeddings(request: EmbeddingsRequest, model: string): WrittenRequest {
  const dropped = leaveOut(request, EMBEDDINGS_FIELDS);
  const { input_type: inputType = INPUT_TYPE } = request;
  if (typeof inputType !== "string") throw unsupported("input_type", TARGET);
  return {
    body: {
      model,
      texts: embeddingInputs(request, TARGET),
      input_type: inputType,
      embedding_types: ["float"],
      output_dimension: request.dimensions ?? undefined,
    },
    dropped: [...dropped],
  };
}
