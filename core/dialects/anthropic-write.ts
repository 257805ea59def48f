import { ANTHROPIC } from "./anthropic-content.ts";
import { writeConversation } from "./anthropic-turns.ts";
import type { ChatRequest, ForeignFields, Json, JsonObject } from "./canonical.ts";
import { unsupported } from "./checks.ts";
import type { Operation, WrittenRequest } from "./dialect.ts";
import { type FieldRules, leaveOut, maxTokens, stopSequences, thinkingBudget } from "./translation.ts";

/** Anthropic requires a limit; this is what a client gets that stated none. */
const DEFAULT_MAX_TOKENS = 4096;

const FIELDS: FieldRules = {
  target: ANTHROPIC,
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
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "user",
  ]),
  // Wishes about repeatability, storage, price and tone: the answer is as good without them.
  dropped: new Set([
    "seed",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "verbosity",
  ]),
};

/** What `count_tokens` takes of a written request. */
const COUNTED = new Set(["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"]);

/** A canonical request as Anthropic's. Throws GatewayError `unsupported_parameter` naming what it cannot express. */
export function writeRequest(operation: Operation, request: ChatRequest, model: string): WrittenRequest {
  const { foreign, ...rest } = request;
  const own = foreign?.dialect === ANTHROPIC ? foreign : undefined;
  const dropped = leaveOut(own ? rest : request, FIELDS);
  const { system, messages } = writeConversation(request.messages, dropped);
  const tools = [...writeTools(request, dropped), ...serverTools(own)];
  const stop = stopSequences(request);
  const body: Record<string, Json | undefined> = {
    model,
    max_tokens: writeMaxTokens(request),
    ...(system !== undefined && { system }),
    messages,
    ...(request.stream && { stream: true }),
    ...(present(request.temperature) && { temperature: writeTemperature(request.temperature) }),
    ...(present(request.top_p) && { top_p: request.top_p }),
    ...(present(request.top_k) && request.top_k >= 0 && { top_k: request.top_k }),
    ...(stop && stop.length > 0 && { stop_sequences: stop }),
    ...(tools.length > 0 && { tools, ...writeToolChoice(request) }),
    ...writeThinking(request),
    ...writeOutput(request, dropped),
    ...(present(request.user) && { metadata: { user_id: request.user } }),
  };
  addOwn(body, own, dropped);
  if (operation !== "count_tokens") return { body, dropped: [...dropped] };
  return { body: Object.fromEntries(Object.entries(body).filter(([name]) => COUNTED.has(name))), dropped: [...dropped] };
}

const SERVER_TOOL = /^tools\[\d+\]$/;

function serverTools(own: ForeignFields | undefined): Json[] {
  return Object.entries(own?.fields ?? {}).flatMap(([path, value]) => (SERVER_TOOL.test(path) ? [value ?? null] : []));
}

/** Puts back what the client sent in Anthropic's own words, at the top or one level down; deeper ones have lost their place. */
function addOwn(body: Record<string, Json | undefined>, own: ForeignFields | undefined, dropped: Set<string>): void {
  for (const [path, value] of Object.entries({ ...own?.fields, ...own?.hints })) {
    if (SERVER_TOOL.test(path)) continue;
    const [field = "", member, deeper] = path.split(".");
    if (field.includes("[") || field.startsWith("__") || deeper !== undefined) dropped.add(path);
    else if (member === undefined) body[field] = value;
    else body[field] = { ...(body[field] as JsonObject | undefined), [member]: value };
  }
}

/** Where each canonical field stands in Anthropic's request. */
const WIRE_FIELDS = new Map<string, readonly string[]>([
  ["messages", ["messages", "system"]],
  ["stream", ["stream"]],
  ["max_tokens", ["max_tokens"]],
  ["max_completion_tokens", ["max_tokens"]],
  ["temperature", ["temperature"]],
  ["top_p", ["top_p"]],
  ["top_k", ["top_k"]],
  ["stop", ["stop_sequences"]],
  ["tools", ["tools", "tool_choice"]],
  ["tool_choice", ["tool_choice"]],
  ["parallel_tool_calls", ["tool_choice"]],
  ["response_format", ["output_config", "output_format"]],
  ["reasoning_effort", ["output_config", "thinking"]],
  ["thinking", ["thinking"]],
  ["user", ["metadata"]],
]);

/** The client's own body with `model` set and what plugins changed written anew. */
export function patchRequest(
  operation: Operation,
  wire: JsonObject,
  original: ChatRequest,
  request: ChatRequest,
  model: string,
): WrittenRequest {
  const changed = Object.keys({ ...original, ...request }).filter((name) => name !== "model" && original[name] !== request[name]);
  if (changed.length === 0) return { body: { ...wire, model }, dropped: [] };
  const { body: written, dropped } = writeRequest(operation, request, model);
  const fields = new Set(changed.flatMap((name) => WIRE_FIELDS.get(name) ?? []));
  const kept = Object.entries(wire).filter(([name]) => !fields.has(name));
  const anew = Object.entries(written).filter(([name]) => fields.has(name));
  const concerned = (path: string) => {
    const [field = ""] = path.split(/[.[]/);
    return fields.has(field) || changed.includes(field);
  };
  return { body: { ...Object.fromEntries(kept), ...Object.fromEntries(anew), model }, dropped: dropped.filter(concerned) };
}

function present<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}

/** Thinking counts towards the limit, so a default one leaves room for it. */
function writeMaxTokens(request: ChatRequest): number {
  return maxTokens(request) ?? DEFAULT_MAX_TOKENS + (thinkingBudget(request) ?? 0);
}

function writeTemperature(temperature: number): number {
  if (temperature > 1) throw unsupported("temperature", `${ANTHROPIC}, whose highest is 1`);
  return temperature;
}

function writeTools({ tools = [] }: ChatRequest, dropped: Set<string>): Json[] {
  return (tools ?? []).map((tool, at) => {
    if (!tool.function) throw unsupported(`tools[${at}]`, ANTHROPIC);
    const { name, description, parameters, strict } = tool.function;
    if (Object.keys(tool).some((key) => key !== "type" && key !== "function" && key !== "cache_control")) dropped.add("tools[]");
    return {
      name,
      ...(present(description) && { description }),
      input_schema: { type: "object", ...parameters },
      ...(strict && { strict }),
      ...(present(tool.cache_control) && { cache_control: tool.cache_control }),
    };
  });
}

function writeToolChoice({ tool_choice: choice, parallel_tool_calls: parallel }: ChatRequest): { tool_choice?: JsonObject } {
  const single = parallel === false && choice !== "none" ? { disable_parallel_tool_use: true } : {};
  if (!present(choice)) return parallel === false ? { tool_choice: { type: "auto", ...single } } : {};
  if (typeof choice === "string") return { tool_choice: { type: choice === "required" ? "any" : choice, ...single } };
  if (choice.type !== "function") throw unsupported("tool_choice", ANTHROPIC);
  return { tool_choice: { type: "tool", name: choice.function.name, ...single } };
}

/** `reasoning_effort: "none"` is the one level that Anthropic says with `thinking`. */
function writeThinking({ thinking, reasoning_effort: effort }: ChatRequest): { thinking?: JsonObject } {
  if (thinking) return { thinking };
  return effort === "none" ? { thinking: { type: "disabled" } } : {};
}

const EFFORTS = new Map([
  ["minimal", "low"],
  ["low", "low"],
  ["medium", "medium"],
  ["high", "high"],
  ["xhigh", "xhigh"],
  ["max", "max"],
]);

function writeOutput(
  { response_format: format, reasoning_effort: effort }: ChatRequest,
  dropped: Set<string>,
): { output_config?: JsonObject } {
  const config: { format?: JsonObject; effort?: string } = {};
  if (present(effort) && effort !== "none") {
    config.effort = EFFORTS.get(effort);
    if (config.effort === undefined) throw unsupported("reasoning_effort", ANTHROPIC);
  }
  if (format && format.type !== "text") {
    const schema = format.type === "json_schema" ? format.json_schema.schema : undefined;
    if (!schema) throw unsupported("response_format", `${ANTHROPIC}, which needs a JSON schema`);
    if (format.type === "json_schema" && format.json_schema.description) dropped.add("response_format.json_schema.description");
    config.format = { type: "json_schema", schema };
  }
  return Object.keys(config).length > 0 ? { output_config: config } : {};
}
