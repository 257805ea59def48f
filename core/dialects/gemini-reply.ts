import { GatewayError } from "../errors.ts";
import type {
  ChatChoice,
  ChatReply,
  EmbeddingsReply,
  EmbeddingsRequest,
  FinishReason,
  Json,
  JsonObject,
  ToolCall,
  Usage,
} from "./canonical.ts";
import { isArray, isObject } from "./checks.ts";
import type { CanonicalReply, CanonicalRequest, Operation, UpstreamErrorInfo } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import { embeddingsReply, unreadable } from "./translation.ts";
import { statedUsage, tokenCount, writeWireUsage } from "./usage.ts";

/** Why an answer ended. A reason that is not here is a failure of the model, such as `MALFORMED_FUNCTION_CALL` or `OTHER`. */
const FINISH_REASONS = new Map<unknown, FinishReason>([
  ["STOP", "stop"],
  ["MAX_TOKENS", "length"],
  ["SAFETY", "content_filter"],
  ["RECITATION", "content_filter"],
  ["LANGUAGE", "content_filter"],
  ["BLOCKLIST", "content_filter"],
  ["PROHIBITED_CONTENT", "content_filter"],
  ["SPII", "content_filter"],
  ["MODEL_ARMOR", "content_filter"],
  ["IMAGE_SAFETY", "content_filter"],
  ["IMAGE_PROHIBITED_CONTENT", "content_filter"],
  ["IMAGE_RECITATION", "content_filter"],
]);

/** The canonical reason, or undefined when the answer failed. */
export function finishReason(reason: string, calledTools: boolean): FinishReason | undefined {
  return reason === "STOP" && calledTools ? "tool_calls" : FINISH_REASONS.get(reason);
}

export function isPromptBlocked(body: JsonObject): boolean {
  return isObject(body.promptFeedback) && typeof body.promptFeedback.blockReason === "string";
}

export function readGemini(operation: Operation, body: JsonObject, request: CanonicalRequest): CanonicalReply {
  if (operation === "embeddings") return readEmbeddings(body, request as EmbeddingsRequest);
  if (operation === "chat") return readChat(body, request.model);
  const tokens = tokenCount(body.totalTokens);
  if (tokens === null) throw unreadable("no totalTokens");
  return { input_tokens: tokens };
}

/** Thoughts are counted apart from the answer, and what tools put into the prompt apart from the prompt. */
export function readGeminiUsage(operation: Operation, body: JsonObject): Usage | null {
  const { usageMetadata: usage } = body;
  if (!isObject(usage)) return null;
  const output = operation === "chat" ? sum(usage.candidatesTokenCount, usage.thoughtsTokenCount) : 0;
  return statedUsage({
    input: usage.promptTokenCount === undefined ? null : sum(usage.promptTokenCount, usage.toolUsePromptTokenCount),
    output,
    cached: tokenCount(usage.cachedContentTokenCount),
    reasoning: tokenCount(usage.thoughtsTokenCount),
  });
}

/** Counts of zero are left out by Gemini; any that is nonsense spoils the sum. */
function sum(...counts: (Json | undefined)[]): number | null {
  const known = counts.map((count) => (count === undefined ? 0 : tokenCount(count)));
  return known.includes(null) ? null : known.reduce<number>((total, count) => total + (count ?? 0), 0);
}

function readChat(body: JsonObject, requested: string): ChatReply {
  const candidates = isArray(body.candidates) ? body.candidates.filter(isObject) : [];
  const choices = candidates.length === 0 && isPromptBlocked(body) ? [blockedChoice()] : candidates.map(readCandidate);
  if (choices.length === 0) throw unreadable("no candidates");
  const usage = readGeminiUsage("chat", body);
  return {
    id: typeof body.responseId === "string" ? body.responseId : makeId("chatcmpl"),
    object: "chat.completion",
    created: createdNow(),
    model: typeof body.modelVersion === "string" ? body.modelVersion : requested,
    choices,
    ...(usage && { usage: writeWireUsage(usage) }),
  };
}

function blockedChoice(): ChatChoice {
  return { index: 0, message: { role: "assistant", content: null, refusal: null }, finish_reason: "content_filter" };
}

function readCandidate(candidate: JsonObject, position: number): ChatChoice {
  const { text, thoughts, calls } = readParts(candidate);
  const reason = typeof candidate.finishReason === "string" ? candidate.finishReason : "none";
  const finish = finishReason(reason, calls.length > 0);
  if (!finish) throw modelFailed(reason);
  const logprobs = readLogprobs(candidate.logprobsResult);
  return {
    index: tokenCount(candidate.index) ?? position,
    message: {
      role: "assistant",
      content: text === "" ? null : text,
      refusal: null,
      ...(thoughts !== "" && { reasoning_content: thoughts }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
    ...(logprobs && { logprobs }),
    finish_reason: finish,
  };
}

function modelFailed(reason: string): GatewayError {
  return new GatewayError("upstream_failed", { cause: new Error(`the answer ended with ${reason}`) });
}

function readParts(candidate: JsonObject): { text: string; thoughts: string; calls: ToolCall[] } {
  let text = "";
  let thoughts = "";
  const calls: ToolCall[] = [];
  for (const part of partsOf(candidate)) {
    if (isObject(part.functionCall)) calls.push(readCall(part));
    else if (typeof part.text !== "string") continue;
    else if (part.thought === true) thoughts += part.text;
    else text += part.text;
  }
  return { text, thoughts, calls };
}

/** Pictures and code runs, which only tools that are never offered bring about, have no canonical form and are passed over. */
export function partsOf(candidate: JsonObject): readonly JsonObject[] {
  const parts = isObject(candidate.content) ? candidate.content.parts : undefined;
  return isArray(parts) ? parts.filter(isObject) : [];
}

function readCall(part: JsonObject): ToolCall {
  const call = isObject(part.functionCall) ? part.functionCall : {};
  if (typeof call.name !== "string") throw unreadable("a function call without a name");
  return toolCall(call.name, call.id, writeArguments(call.args), part.thoughtSignature);
}

export function toolCall(name: string, id: Json | undefined, text: string, signature: Json | undefined): ToolCall {
  return {
    id: typeof id === "string" && id !== "" ? id : makeId("call"),
    type: "function",
    function: { name, arguments: text },
    ...(typeof signature === "string" && { extra_content: { google: { thought_signature: signature } } }),
  };
}

/** Throws `upstream_invalid` for arguments nested so deeply that they cannot be written again. */
export function writeArguments(args: Json | undefined): string {
  try {
    return JSON.stringify(isObject(args) ? args : {});
  } catch (error) {
    throw new GatewayError("upstream_invalid", { cause: error });
  }
}

export function readLogprobs(result: Json | undefined): { content: JsonObject[]; refusal: null } | undefined {
  if (!isObject(result) || !isArray(result.chosenCandidates)) return undefined;
  const tops = isArray(result.topCandidates) ? result.topCandidates : [];
  const content = result.chosenCandidates.map((chosen, index) => {
    const top = tops[index];
    const candidates = isObject(top) && isArray(top.candidates) ? top.candidates : [];
    return { ...readToken(chosen), top_logprobs: candidates.map(readToken) };
  });
  return { content, refusal: null };
}

function readToken(candidate: Json): JsonObject {
  const { token, logProbability } = isObject(candidate) ? candidate : {};
  const text = typeof token === "string" ? token : "";
  return { token: text, logprob: typeof logProbability === "number" ? logProbability : 0, bytes: [...Buffer.from(text)] };
}

/** Where Gemini does not say how much it embedded, the reply says 0 and the ledger estimates. */
function readEmbeddings(body: JsonObject, request: EmbeddingsRequest): EmbeddingsReply {
  const embeddings = isArray(body.embeddings) ? body.embeddings : undefined;
  const vectors = embeddings?.map((embedding) => (isObject(embedding) ? embedding.values : undefined));
  return embeddingsReply(vectors, request, readGeminiUsage("embeddings", body)?.inputTokens ?? 0);
}

/** `{ error: { code, message, status, details } }`, or the same as the only item of a list. */
export function readGeminiError(body: Json): UpstreamErrorInfo {
  const outer = isArray(body) ? body[0] : body;
  const error = isObject(outer) ? outer.error : undefined;
  if (!isObject(error)) return {};
  const details = isArray(error.details) ? error.details.filter(isObject) : [];
  const reason = details.map((detail) => detail.reason).find((each) => typeof each === "string");
  const violations = details.flatMap(({ fieldViolations }) => (isArray(fieldViolations) ? fieldViolations : [])).filter(isObject);
  const field = violations.map((violation) => violation.field).find((each) => typeof each === "string");
  return {
    ...(typeof error.message === "string" && { message: error.message }),
    ...(typeof error.status === "string" && { type: error.status }),
    ...(typeof reason === "string" && { code: reason }),
    ...(typeof field === "string" && { param: field }),
  };
}
