import type { ChatRequest, EmbeddingsRequest, Json, JsonObject } from "./canonical.ts";
import {
  checkArray,
  checkBoolean,
  checkInteger,
  checkName,
  checkNumber,
  checkObject,
  checkOneOf,
  checkString,
  invalid,
  isArray,
  isObject,
} from "./checks.ts";

/**
 * Checks of an OpenAI request. It is the canonical form already, so nothing is built: what the gateway, its plugins and the
 * other dialects rely on is checked, and fields unknown here are left to the provider. `null` means absent, as at OpenAI.
 */

type Check = (value: Json, param: string) => void;

const positive: Check = (value, param) => checkInteger(value, param, 1);
const string: Check = (value, param) => checkString(value, param);
const boolean: Check = (value, param) => checkBoolean(value, param);
const object: Check = (value, param) => checkObject(value, param);
const penalty: Check = (value, param) => checkNumber(value, param, -2, 2);

const CHAT_FIELDS: readonly (readonly [name: string, check: Check])[] = [
  ["stream", boolean],
  ["stream_options", checkStreamOptions],
  ["max_tokens", positive],
  ["max_completion_tokens", positive],
  ["temperature", (value, param) => checkNumber(value, param, 0, 2)],
  ["top_p", (value, param) => checkNumber(value, param, 0, 1)],
  // Open servers take -1 for "no limit".
  ["top_k", (value, param) => checkInteger(value, param, -1)],
  ["stop", checkStop],
  ["n", (value, param) => checkInteger(value, param, 1, 128)],
  ["best_of", (value, param) => checkInteger(value, param, 1, 128)],
  ["seed", (value, param) => checkInteger(value, param, Number.MIN_SAFE_INTEGER)],
  ["logprobs", boolean],
  ["top_logprobs", (value, param) => checkInteger(value, param, 0)],
  ["frequency_penalty", penalty],
  ["presence_penalty", penalty],
  ["logit_bias", object],
  ["metadata", object],
  ["modalities", checkStrings],
  ["tools", checkTools],
  ["tool_choice", checkToolChoice],
  ["parallel_tool_calls", boolean],
  ["response_format", checkResponseFormat],
  ["reasoning_effort", string],
  ["thinking", object],
  ["user", string],
];

export function checkChatRequest(body: JsonObject): ChatRequest {
  checkName(body.model, "model");
  const messages = checkArray(body.messages, "messages");
  if (messages.length === 0) throw invalid("messages", "must not be empty");
  for (let at = 0; at < messages.length; at += 1) checkMessage(messages[at], `messages[${at}]`);
  for (const [name, check] of CHAT_FIELDS) {
    const value = body[name];
    if (value !== undefined && value !== null) check(value, name);
  }
  // The gateway's own word for what another dialect brought.
  if (body.foreign !== undefined) throw invalid("foreign", "is not a field of this request");
  return body as unknown as ChatRequest;
}

function checkMessage(value: Json | undefined, path: string): void {
  const message = checkObject(value, path);
  const role = checkOneOf(message.role, `${path}.role`, ["system", "developer", "user", "assistant", "tool", "function"]);
  const { content } = message;
  const optional = role === "assistant" || role === "function";
  if (typeof content !== "string" && !(optional && (content === null || content === undefined))) checkParts(content, `${path}.content`);
  if (message.name !== undefined && message.name !== null) checkString(message.name, `${path}.name`);
  if (role === "tool") {
    checkString(message.tool_call_id, `${path}.tool_call_id`);
    if (message.is_error !== undefined) checkBoolean(message.is_error, `${path}.is_error`);
  }
  if (role === "assistant") checkAssistant(message, path);
}

function checkParts(value: Json | undefined, path: string): void {
  if (!isArray(value)) throw invalid(path, "must be a string or an array of content parts");
  for (const [at, each] of value.entries()) {
    const part = checkObject(each, `${path}[${at}]`);
    const type = checkString(part.type, `${path}[${at}].type`);
    if (type === "foreign") throw invalid(`${path}[${at}].type`, "is not a known kind of part");
    if (type === "text") checkString(part.text, `${path}[${at}].text`);
    if (type === "image_url") checkString(checkObject(part.image_url, `${path}[${at}].image_url`).url, `${path}[${at}].image_url.url`);
  }
}

function checkAssistant(message: JsonObject, path: string): void {
  for (const name of ["refusal", "reasoning_content"]) {
    if (message[name] !== undefined && message[name] !== null) checkString(message[name], `${path}.${name}`);
  }
  if (message.tool_calls !== undefined && message.tool_calls !== null) {
    for (const [at, each] of checkArray(message.tool_calls, `${path}.tool_calls`).entries())
      checkToolCall(each, `${path}.tool_calls[${at}]`);
  }
  if (message.reasoning_details !== undefined && message.reasoning_details !== null) {
    for (const [at, each] of checkArray(message.reasoning_details, `${path}.reasoning_details`).entries()) {
      checkReasoningDetail(each, `${path}.reasoning_details[${at}]`);
    }
  }
}

function checkToolCall(value: Json, path: string): void {
  const call = checkObject(value, path);
  checkString(call.id, `${path}.id`);
  if (!isFunction(call, path)) return;
  const named = checkObject(call.function, `${path}.function`);
  checkName(named.name, `${path}.function.name`);
  checkString(named.arguments, `${path}.function.arguments`);
}

function checkReasoningDetail(value: Json, path: string): void {
  const detail = checkObject(value, path);
  if (detail.type === "thinking") {
    checkString(detail.thinking, `${path}.thinking`);
    if (detail.signature !== undefined) checkString(detail.signature, `${path}.signature`);
  }
  if (detail.type === "redacted_thinking") checkString(detail.data, `${path}.data`);
}

/** Tools and calls of other types than `function` (OpenAI's `custom`) are the provider's to judge. */
function isFunction(value: JsonObject, path: string): boolean {
  return value.type === undefined || checkString(value.type, `${path}.type`) === "function";
}

function checkTools(value: Json, param: string): void {
  for (const [at, each] of checkArray(value, param).entries()) {
    const path = `${param}[${at}]`;
    const tool = checkObject(each, path);
    if (!isFunction(tool, path)) continue;
    const named = checkObject(tool.function, `${path}.function`);
    checkName(named.name, `${path}.function.name`);
    if (named.description !== undefined && named.description !== null) checkString(named.description, `${path}.function.description`);
    if (named.parameters !== undefined && named.parameters !== null) checkObject(named.parameters, `${path}.function.parameters`);
    if (named.strict !== undefined && named.strict !== null) checkBoolean(named.strict, `${path}.function.strict`);
  }
}

function checkToolChoice(value: Json, param: string): void {
  if (!isObject(value)) {
    checkOneOf(value, param, ["none", "auto", "required"]);
  } else if (checkString(value.type, `${param}.type`) === "function") {
    checkName(checkObject(value.function, `${param}.function`).name, `${param}.function.name`);
  }
}

function checkResponseFormat(value: Json, param: string): void {
  const type = checkString(checkObject(value, param).type, `${param}.type`);
  if (type !== "json_schema") return;
  const format = checkObject((value as JsonObject).json_schema, `${param}.json_schema`);
  checkName(format.name, `${param}.json_schema.name`);
  if (format.schema !== undefined && format.schema !== null) checkObject(format.schema, `${param}.json_schema.schema`);
}

function checkStreamOptions(value: Json, param: string): void {
  const { include_usage: includeUsage } = checkObject(value, param);
  if (includeUsage !== undefined && includeUsage !== null) checkBoolean(includeUsage, `${param}.include_usage`);
}

function checkStop(value: Json, param: string): void {
  if (typeof value !== "string") checkStrings(value, param);
}

function checkStrings(value: Json, param: string): void {
  for (const [at, each] of checkArray(value, param).entries()) checkString(each, `${param}[${at}]`);
}

export function checkEmbeddingsRequest(body: JsonObject): EmbeddingsRequest {
  checkName(body.model, "model");
  const { input } = body;
  if (typeof input !== "string") checkInput(input, "input");
  if (body.dimensions !== undefined && body.dimensions !== null) checkInteger(body.dimensions, "dimensions", 1);
  if (body.encoding_format !== undefined && body.encoding_format !== null) {
    checkOneOf(body.encoding_format, "encoding_format", ["float", "base64"]);
  }
  if (body.user !== undefined && body.user !== null) checkString(body.user, "user");
  return body as unknown as EmbeddingsRequest;
}

function checkInput(value: Json | undefined, param: string): void {
  const expected = "must be a string, an array of strings, or token numbers";
  if (!isArray(value) || value.length === 0) throw invalid(param, expected);
  const isTokens = (each: Json | undefined) => isArray(each) && each.length > 0 && each.every((number) => Number.isSafeInteger(number));
  if (!value.every((each) => typeof each === "string") && !isTokens(value) && !value.every(isTokens)) throw invalid(param, expected);
}
