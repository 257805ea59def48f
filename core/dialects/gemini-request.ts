import type { ChatRequest, EmbeddingsRequest, JsonObject } from "./canonical.ts";
import { unsupported } from "./checks.ts";
import type { CanonicalRequest, Operation, WrittenRequest } from "./dialect.ts";
import { isGemini3, TARGET, writeContents } from "./gemini-content.ts";
import {
  BOOK_KEEPING,
  embeddingInputs,
  type FieldRules,
  functionTools,
  leaveOut,
  maxTokens,
  stopSequences,
  thinkingBudget,
  topK,
} from "./translation.ts";

/** Canonical fields with a counterpart here. All others are refused, such as `logit_bias`, `verbosity` or `web_search_options`. */
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
    "n",
    "seed",
    "logprobs",
    "top_logprobs",
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
  translated: new Set(["model", "input", "dimensions", "encoding_format"]),
  dropped: new Set(["user"]),
};

/** `reasoning_effort` as Gemini 2.5 takes it: tokens, the figures of Google's own OpenAI layer. */
const BUDGETS = { none: 0, minimal: 1024, low: 1024, medium: 8192, high: 24_576, xhigh: 24_576, max: 24_576 } as const;
/** The same for Gemini 3, which cannot be kept from thinking; `minimal` is as near as it gets. */
const LEVELS = { none: "minimal", minimal: "minimal", low: "low", medium: "medium", high: "high", xhigh: "high", max: "high" } as const;

export function writeGemini(operation: Operation, request: CanonicalRequest, model: string): WrittenRequest {
  if (operation === "embeddings") return writeEmbeddings(request as EmbeddingsRequest, model);
  const written = writeChat(request as ChatRequest, model);
  if (operation !== "count_tokens") return written;
  return { ...written, body: { generateContentRequest: { model: `models/${model}`, ...written.body } } };
}

function writeChat(request: ChatRequest, model: string): WrittenRequest {
  const dropped = leaveOut(request, CHAT_FIELDS);
  const { contents, systemInstruction } = writeContents(request.messages, model, dropped);
  return {
    body: {
      contents,
      systemInstruction,
      ...writeTools(request, dropped),
      generationConfig: {
        maxOutputTokens: maxTokens(request),
        temperature: request.temperature ?? undefined,
        topP: request.top_p ?? undefined,
        topK: topK(request),
        stopSequences: stopSequences(request),
        candidateCount: request.n ?? undefined,
        seed: request.seed ?? undefined,
        presencePenalty: request.presence_penalty ?? undefined,
        frequencyPenalty: request.frequency_penalty ?? undefined,
        responseLogprobs: request.logprobs ?? undefined,
        logprobs: request.logprobs ? (request.top_logprobs ?? undefined) : undefined,
        thinkingConfig: writeThinking(request, model),
        ...writeFormat(request, dropped),
      },
    },
    dropped: [...dropped],
  };
}

function writeTools(request: ChatRequest, dropped: Set<string>): JsonObject {
  const tools = functionTools(request, TARGET);
  if (tools.length === 0) return {};
  if (request.parallel_tool_calls === false) throw unsupported("parallel_tool_calls", TARGET);
  if (tools.some((tool) => tool.cache_control)) dropped.add("tools[].cache_control");
  return {
    tools: [
      {
        functionDeclarations: tools.map(({ function: { name, description, parameters } }) => ({
          name,
          description: description ?? undefined,
          parametersJsonSchema: parameters ?? undefined,
        })),
      },
    ],
    toolConfig: {
      functionCallingConfig: callingConfig(
        request.tool_choice ?? "auto",
        tools.some((tool) => tool.function.strict),
      ),
    },
  };
}

/** `ANY` holds calls to their schemas by itself; `VALIDATED` does so where the model may also answer in text. */
function callingConfig(choice: NonNullable<ChatRequest["tool_choice"]>, strict: boolean): JsonObject {
  if (choice === "none") return { mode: "NONE" };
  if (choice === "auto") return { mode: strict ? "VALIDATED" : "AUTO" };
  if (choice === "required") return { mode: "ANY" };
  if (choice.type !== "function") throw unsupported("tool_choice", TARGET);
  return { mode: "ANY", allowedFunctionNames: [choice.function.name] };
}

function writeFormat({ response_format: format }: ChatRequest, dropped: Set<string>): JsonObject {
  if (!format || format.type === "text") return {};
  if (format.type === "json_object") return { responseMimeType: "application/json" };
  if (format.type !== "json_schema") throw unsupported("response_format", TARGET);
  if (format.json_schema.description) dropped.add("response_format.json_schema.description");
  return { responseMimeType: "application/json", responseJsonSchema: format.json_schema.schema ?? undefined };
}

/** A budget in tokens is the more exact wish and wins over an effort. Thoughts are shown whenever thinking was asked for. */
function writeThinking(request: ChatRequest, model: string): JsonObject | undefined {
  const { thinking, reasoning_effort } = request;
  const effort = thinking?.type === "disabled" ? "none" : reasoning_effort;
  const budget = effort === "none" ? undefined : thinkingBudget(request);
  if (budget !== undefined) return { thinkingBudget: budget, includeThoughts: true };
  if (effort === undefined || effort === null) return thinking ? { includeThoughts: true } : undefined;
  if (!isEffort(effort)) throw unsupported("reasoning_effort", TARGET);
  const includeThoughts = effort !== "none" || undefined;
  return isGemini3(model) ? { thinkingLevel: LEVELS[effort], includeThoughts } : { thinkingBudget: BUDGETS[effort], includeThoughts };
}

function isEffort(effort: string): effort is keyof typeof LEVELS {
  return Object.hasOwn(LEVELS, effort);
}

function writeEmbeddings(request: EmbeddingsRequest, model: string): WrittenRequest {
  const dropped = leaveOut(request, EMBEDDINGS_FIELDS);
  return {
    body: {
      requests: embeddingInputs(request, TARGET).map((text) => ({
        model: `models/${model}`,
        content: { parts: [{ text }] },
        outputDimensionality: request.dimensions ?? undefined,
      })),
    },
    dropped: [...dropped],
  };
}
