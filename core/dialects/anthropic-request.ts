import { ANTHROPIC, readMessages, readSystem } from "./anthropic-content.ts";
import type { ChatRequest, Json, JsonObject, Message, ResponseFormat, Tool, ToolChoice } from "./canonical.ts";
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
  isObject,
} from "./checks.ts";
import { ForeignCollector } from "./foreign.ts";

/** Top-level fields with a canonical equivalent. */
const TRANSLATED = new Set([
  "model",
  "messages",
  "system",
  "max_tokens",
  "stream",
  "temperature",
  "top_p",
  "top_k",
  "stop_sequences",
  "tools",
  "tool_choice",
  "thinking",
  "metadata",
  "output_config",
  "output_format",
]);

/** Top-level fields that say where, how fast or how cheaply, but not what is answered. All others a target refuses. */
const HINTS = new Set([
  "cache_control",
  "context_management",
  "diagnostics",
  "inference_geo",
  "service_tier",
  "speed",
  "user_profile_id",
  "workspace_id",
]);

/** An Anthropic request in canonical form. Throws GatewayError `invalid_request` naming the field. */
export function readRequest(body: JsonObject, counting: boolean): ChatRequest {
  const foreign = new ForeignCollector(ANTHROPIC);
  const model = checkName(body.model, "model");
  const messages: Message[] = [...readSystem(body.system, foreign), ...readMessages(body.messages, foreign)];
  if (!counting) checkInteger(body.max_tokens, "max_tokens", 1);
  foreign.rest(body, "", TRANSLATED, HINTS);
  return Object.freeze({
    model,
    messages,
    ...(body.max_tokens !== undefined && { max_tokens: checkInteger(body.max_tokens, "max_tokens", 1) }),
    ...(present(body.stream) && { stream: checkBoolean(body.stream, "stream") }),
    ...(present(body.temperature) && { temperature: checkNumber(body.temperature, "temperature", 0, 1) }),
    ...(present(body.top_p) && { top_p: checkNumber(body.top_p, "top_p", 0, 1) }),
    ...(present(body.top_k) && { top_k: checkInteger(body.top_k, "top_k", 0) }),
    ...(present(body.stop_sequences) && { stop: readStop(body.stop_sequences) }),
    ...(present(body.tools) && readTools(body.tools, foreign)),
    ...(present(body.tool_choice) && readToolChoice(body.tool_choice)),
    ...(present(body.thinking) && { thinking: readThinking(body.thinking) }),
    ...(present(body.metadata) && readMetadata(body.metadata, foreign)),
    ...readOutput(body, foreign),
    ...foreign.collected(),
  });
}

function present(value: Json | undefined): value is Json {
  return value !== undefined && value !== null;
}

function readStop(value: Json): string[] {
  return checkArray(value, "stop_sequences").map((each, at) => checkString(each, `stop_sequences[${at}]`));
}

const TOOL_FIELDS = new Set(["type", "name", "description", "input_schema", "strict", "cache_control"]);
const TOOL_HINTS = new Set(["allowed_callers", "defer_loading", "eager_input_streaming", "input_examples"]);

function readTools(value: Json, foreign: ForeignCollector): { tools?: Tool[] } {
  const tools: Tool[] = [];
  for (const [at, each] of checkArray(value, "tools").entries()) {
    const path = `tools[${at}]`;
    const tool = checkObject(each, path);
    if (present(tool.type) && checkString(tool.type, `${path}.type`) !== "custom") {
      foreign.field(path, tool);
      continue;
    }
    foreign.rest(tool, `${path}.`, TOOL_FIELDS, TOOL_HINTS);
    tools.push({
      type: "function",
      function: {
        name: checkName(tool.name, `${path}.name`),
        ...(present(tool.description) && { description: checkString(tool.description, `${path}.description`) }),
        parameters: checkObject(tool.input_schema, `${path}.input_schema`),
        ...(present(tool.strict) && { strict: checkBoolean(tool.strict, `${path}.strict`) }),
      },
      ...(present(tool.cache_control) && { cache_control: tool.cache_control }),
    });
  }
  return tools.length > 0 ? { tools } : {};
}

function readToolChoice(value: Json): { tool_choice: ToolChoice; parallel_tool_calls?: boolean } {
  const choice = checkObject(value, "tool_choice");
  const type = checkOneOf(choice.type, "tool_choice.type", ["auto", "any", "tool", "none"]);
  const disabled = choice.disable_parallel_tool_use;
  const single = present(disabled) && checkBoolean(disabled, "tool_choice.disable_parallel_tool_use");
  return { tool_choice: canonicalChoice(type, choice), ...(single && { parallel_tool_calls: false }) };
}

function canonicalChoice(type: "auto" | "any" | "tool" | "none", choice: JsonObject): ToolChoice {
  if (type === "tool") return { type: "function", function: { name: checkName(choice.name, "tool_choice.name") } };
  return type === "any" ? "required" : type;
}

function readThinking(value: Json): JsonObject {
  const thinking = checkObject(value, "thinking");
  if (checkString(thinking.type, "thinking.type") === "enabled") checkInteger(thinking.budget_tokens, "thinking.budget_tokens", 1);
  return thinking;
}

function readMetadata(value: Json, foreign: ForeignCollector): { user?: string } {
  const { user_id: user, ...rest } = checkObject(value, "metadata");
  for (const [name, member] of Object.entries(rest)) foreign.hint(`metadata.${name}`, member ?? null);
  return present(user) ? { user: checkString(user, "metadata.user_id") } : {};
}

const OUTPUT_FIELDS = new Set(["format", "effort"]);
const NO_HINTS = new Set<string>();

/** `output_config`, and `output_format`, which its `format` was called in beta. */
function readOutput(body: JsonObject, foreign: ForeignCollector): Pick<ChatRequest, "response_format" | "reasoning_effort"> {
  const config = present(body.output_config) ? checkObject(body.output_config, "output_config") : {};
  foreign.rest(config, "output_config.", OUTPUT_FIELDS, NO_HINTS);
  return {
    ...(present(config.format) && { response_format: readFormat(config.format, "output_config.format") }),
    ...(present(body.output_format) && { response_format: readFormat(body.output_format, "output_format") }),
    ...(present(config.effort) && { reasoning_effort: checkString(config.effort, "output_config.effort") }),
  };
}

function readFormat(value: Json, param: string): ResponseFormat {
  const format = checkObject(value, param);
  if (format.type !== "json_schema") throw invalid(`${param}.type`, 'must be "json_schema"');
  if (!isObject(format.schema)) throw invalid(`${param}.schema`, "must be an object");
  // Anthropic names no schema; OpenAI wants a name, and a promise is only kept when strict.
  return { type: "json_schema", json_schema: { name: "response", schema: format.schema, strict: true } };
}
