import fc from "fast-check";
import { id, junk, list, marker, name, one, or, rather, schema, shape, stream, text, tokens, url } from "./pieces.ts";

/** Requests of OpenAI's chat completions and embeddings. */

/** The rig's models; every provider but the simulator is named after its dialect. */
export const CHAT_MODELS = [
  "simulator/sim-nano",
  "simulator/sim-small",
  "simulator/sim-reasoner",
  "sim-large",
  "fast",
  "openai-chat/m",
  "anthropic-messages/m",
  "gemini/m",
  "cohere/m",
];
export const model = rather(CHAT_MODELS, ["simulator/none", "nobody/x", "simulator/sim-embed", "/", "a/b/c", "gpt-4"]);

const part = or(
  fc.oneof(
    { weight: 3, arbitrary: shape({ type: one("text"), text }, {}, { cache_control: marker }) },
    { weight: 1, arbitrary: shape({ type: one("image_url"), image_url: shape({ url }, { detail: one("auto", "low") }) }) },
  ),
  shape(
    { type: one("input_audio", "file", "refusal", "foreign", "thinking") },
    { input_audio: junk, file: junk, refusal: text, value: junk },
  ),
  20,
);
const content = fc.oneof({ weight: 3, arbitrary: text }, { weight: 2, arbitrary: list(part, 3, 1) });
const call = or(
  shape({ id, type: one("function"), function: shape({ name, arguments: rather(["{}", '{"a":1}'], ["{", "[]", ""]) }) }),
  shape({ id, type: one("custom") }, { custom: junk }),
  20,
);
const said = shape({ role: one("system", "developer", "user"), content }, {}, { name: text });
const assistant = shape(
  { role: one("assistant"), content },
  { tool_calls: list(call, 2, 1) },
  { refusal: text, reasoning_content: text, reasoning_details: list(junk), audio: junk, name: text },
);
const result = shape({ role: one("tool"), tool_call_id: id, content }, {}, { is_error: fc.boolean() });
const message = or(
  fc.oneof({ weight: 6, arbitrary: said }, { weight: 2, arbitrary: assistant }, { weight: 1, arbitrary: result }),
  shape({ role: one("function", "nobody"), name, content: text }),
  30,
);
const tool = or(
  shape({ type: one("function"), function: shape({ name }, { description: text, parameters: schema, strict: fc.boolean() }) }),
  shape({ type: one("custom", "web_search") }, { custom: junk }),
  20,
);
const toolChoice = fc.oneof(
  one("none", "auto", "required"),
  shape({ type: rather(["function"], ["allowed_tools"]), function: shape({ name }) }),
);
const responseFormat = fc.oneof(
  one({ type: "text" }, { type: "json_object" }),
  shape({ type: one("json_schema"), json_schema: shape({ name, schema }, { strict: fc.boolean() }) }),
);

export const chat = shape(
  { model, messages: list(message, 4, 1) },
  { stream, max_tokens: tokens, temperature: rather([0, 1, 2], [3, -1]), stop: fc.oneof(text, list(text, 3, 1)), user: text },
  {
    stream_options: shape({ include_usage: fc.boolean() }),
    max_completion_tokens: tokens,
    top_p: rather([0, 0.5, 1], [2]),
    top_k: rather([1, 40], [-1]),
    n: rather([1, 2, 8], [0, 128, 129, 1e9]),
    best_of: junk,
    seed: one(1, -1),
    logprobs: fc.boolean(),
    top_logprobs: rather([0, 5], [21]),
    frequency_penalty: rather([0, 2], [3]),
    presence_penalty: rather([0, -2], [-3]),
    logit_bias: shape({ 50256: one(-100, 100) }),
    metadata: shape({ a: text }),
    modalities: list(one("text", "audio")),
    tools: list(tool, 3, 1),
    tool_choice: toolChoice,
    parallel_tool_calls: fc.boolean(),
    response_format: responseFormat,
    reasoning_effort: one("none", "low", "high", "max", "constructor", "__proto__"),
    thinking: shape({ type: one("enabled", "disabled", "adaptive") }, { budget_tokens: tokens }),
    service_tier: junk,
    foreign: junk,
    prediction: junk,
  },
);

/** Chats in which tools are what matters. */
export const chatWithTools = shape(
  { model, messages: list(message, 3, 1), tools: list(tool, 3, 1), tool_choice: toolChoice },
  { stream, parallel_tool_calls: fc.boolean(), response_format: responseFormat },
);

export const embeddings = shape(
  {
    model: rather(
      ["simulator/sim-embed", "sim-embed", "gemini/m", "cohere/m", "openai-chat/m"],
      ["simulator/sim-nano", "anthropic-messages/m"],
    ),
    input: fc.oneof(text, list(text, 3, 1), or(list(one(1, 2), 3, 1), list(list(one(1))))),
  },
  { encoding_format: one("float", "base64"), user: text },
  { dimensions: rather([1, 16], [0, 1e9]) },
);
