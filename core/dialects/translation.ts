import { GatewayError } from "../errors.ts";
import type {
  AssistantMessage,
  ChatRequest,
  ContentPart,
  EmbeddingsReply,
  EmbeddingsRequest,
  Json,
  JsonObject,
  Tool,
  ToolCall,
} from "./canonical.ts";
import { isArray, isObject, unsupported, unsupportedPart } from "./checks.ts";
import { tokenCount } from "./usage.ts";

/** What turning a canonical request into another format needs, whatever the format. */

/** Hints that change no answer: book-keeping, caching and speed. For formats that have none of them. */
export const BOOK_KEEPING: ReadonlySet<string> = new Set([
  "metadata",
  "prediction",
  "prompt_cache_key",
  "prompt_cache_retention",
  "safety_identifier",
  "service_tier",
  "store",
  "user",
]);

/** Which top-level fields of a request a target has words for, and which it can do without; any other is refused. */
export interface FieldRules {
  /** The target's name, for the error. */
  readonly target: string;
  readonly translated: ReadonlySet<string>;
  /** Fields that say nothing about the answer. */
  readonly dropped: ReadonlySet<string>;
}

/** Collects the names of the fields to leave out. Throws `unsupported_parameter` for one that would change the answer. */
export function leaveOut(request: ChatRequest | EmbeddingsRequest, rules: FieldRules): Set<string> {
  const { foreign, ...own } = request as ChatRequest;
  const fields = foreign?.fields ?? {};
  const dropped = new Set(Object.keys(foreign?.hints ?? {}));
  for (const [name, value] of [...Object.entries(own), ...Object.entries(fields)]) {
    if (saysNothing(name, value) || (rules.translated.has(name) && !Object.hasOwn(fields, name))) continue;
    if (!rules.dropped.has(name)) throw unsupported(name, rules.target);
    dropped.add(name);
  }
  return dropped;
}

/** Values that mean the same as the field's absence. */
const DEFAULTS = new Map<string, unknown>([
  ["n", 1],
  ["logprobs", false],
  ["top_logprobs", 0],
  ["frequency_penalty", 0],
  ["presence_penalty", 0],
]);

function saysNothing(name: string, value: unknown): boolean {
  if (value === null || value === undefined || DEFAULTS.get(name) === value) return true;
  if (name === "modalities" && isArray(value)) return value.every((each) => each === "text");
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** The request's output limit; the newer of OpenAI's two names wins. */
export function maxTokens(request: ChatRequest): number | undefined {
  return request.max_completion_tokens ?? request.max_tokens ?? undefined;
}

export function stopSequences(request: ChatRequest): readonly string[] | undefined {
  const { stop } = request;
  return typeof stop === "string" ? [stop] : (stop ?? undefined);
}

/** `top_k` where it limits anything; open servers take -1 for no limit. */
export function topK(request: ChatRequest): number | undefined {
  return request.top_k && request.top_k > 0 ? request.top_k : undefined;
}

/** The functions offered. Throws `unsupported_parameter` for a tool of another kind, such as OpenAI's `custom`. */
export function functionTools(request: ChatRequest, target: string): readonly Tool[] {
  const tools = request.tools ?? [];
  for (const [index, tool] of tools.entries()) {
    if (!isObject(tool.function)) throw unsupported(`tools[${index}].type`, target);
  }
  return tools;
}

/** The function calls of an assistant's message. Throws `unsupported_parameter` for a call of another kind. */
export function functionCalls(message: AssistantMessage, path: string, target: string): readonly ToolCall[] {
  const calls = message.tool_calls ?? [];
  for (const [index, call] of calls.entries()) {
    if (!isObject(call.function)) throw unsupported(`${path}.tool_calls[${index}].type`, target);
  }
  return calls;
}

/** The budget of Anthropic's `thinking`, in tokens. */
export function thinkingBudget(request: ChatRequest): number | undefined {
  return tokenCount(request.thinking?.budget_tokens) ?? undefined;
}

/** Content as a list of parts; empty for none. */
export function partsOf(content: string | null | undefined | readonly ContentPart[]): readonly ContentPart[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  return content ?? [];
}

/** The text of a part that has to be text. Throws `unsupported_parameter` with the part's path. */
export function textOf(part: ContentPart, path: string, target: string): string {
  if (part.type === "text") return part.text;
  if (part.type === "refusal" && typeof part.refusal === "string") return part.refusal;
  if (part.type === "foreign") throw unsupportedPart(part, target);
  throw unsupported(path, target);
}

/** The parts of a base64 `data:` URL, or null for any other address. */
export function readDataUrl(url: string): { mediaType: string; data: string } | null {
  const comma = url.indexOf(",");
  if (comma === -1 || comma > 256 || !/^data:[^,]*;base64$/i.test(url.slice(0, comma))) return null;
  const [mediaType] = url.slice("data:".length, comma).split(";");
  return { mediaType: mediaType || "application/octet-stream", data: url.slice(comma + 1) };
}

/** Deeper arguments are no tool's, and could not be written as JSON again. */
const ARGUMENTS_DEPTH = 64;

/** A tool call's arguments as an object; no text means none. Throws `unsupported_parameter` for anything else. */
export function parseArguments(text: string, path: string, target: string): JsonObject {
  if (text.trim() === "") return {};
  let parsed: Json = null;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    throw unsupported(path, target);
  }
  if (!isObject(parsed) || isDeeper(parsed, ARGUMENTS_DEPTH)) throw unsupported(path, target);
  return parsed;
}

function isDeeper(value: Json | undefined, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return limit === 0 || Object.values(value).some((each) => isDeeper(each, limit - 1));
}

/** The inputs of an embeddings request. Token numbers belong to OpenAI's own tokenizer and are refused. */
export function embeddingInputs(request: EmbeddingsRequest, target: string): readonly string[] {
  const inputs: readonly unknown[] = isArray(request.input) ? request.input : [request.input];
  if (!inputs.every((each) => typeof each === "string")) throw unsupported("input", target);
  return inputs;
}

/** The canonical reply for a list of vectors. Throws `upstream_invalid` when they are not lists of numbers. */
export function embeddingsReply(vectors: unknown, request: EmbeddingsRequest, inputTokens: number): EmbeddingsReply {
  if (!isArray(vectors) || !vectors.every(isVector)) throw unreadable("the embeddings are not lists of numbers");
  const base64 = request.encoding_format === "base64";
  return {
    object: "list",
    data: vectors.map((vector, index) => ({ object: "embedding", index, embedding: base64 ? packed(vector) : [...vector] })),
    model: request.model,
    usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
  };
}

function isVector(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === "number");
}

/** Little-endian 32-bit floats, which the OpenAI SDKs ask for unless told otherwise. */
function packed(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString("base64");
}

/** `why` is for the log only. */
export function unreadable(why: string): GatewayError {
  return new GatewayError("upstream_invalid", { cause: new Error(why) });
}
