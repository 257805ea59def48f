import fc from "fast-check";
import { model } from "./openai.ts";
import { type Any, id, junk, list, marker, name, one, or, rather, schema, shape, stream, text, tokens, url } from "./pieces.ts";

/** Requests of Anthropic's Messages. */

const textBlock = shape({ type: one("text"), text }, {}, { cache_control: marker, citations: junk });
const source = fc.oneof(
  shape({ type: one("base64"), media_type: one("image/png"), data: one("AAAA") }),
  shape({ type: rather(["url"], ["file", "text"]), url }, {}, { file_id: text }),
);
const block: Any = or(
  fc.oneof(
    { weight: 5, arbitrary: textBlock },
    { weight: 1, arbitrary: shape({ type: one("image"), source }, {}, { cache_control: marker }) },
    { weight: 1, arbitrary: shape({ type: one("tool_use"), id, name, input: shape({}, { a: junk }) }) },
    {
      weight: 1,
      arbitrary: shape(
        { type: one("tool_result"), tool_use_id: id },
        { content: fc.oneof(text, list(textBlock)), is_error: fc.boolean() },
        { cache_control: marker },
      ),
    },
    { weight: 1, arbitrary: shape({ type: one("thinking"), thinking: text }, { signature: text }) },
  ),
  shape({ type: one("redacted_thinking", "document", "server_tool_use", "search_result", "nothing") }, { data: text, source }),
  30,
);
const message = shape({
  role: rather(["user", "user", "assistant"], ["system", "tool"]),
  content: fc.oneof(text, list(block, 3, 1)),
});
const tool = shape(
  { name, input_schema: schema },
  { description: text, strict: fc.boolean() },
  { type: one("custom", "bash_20250124"), cache_control: marker, defer_loading: fc.boolean() },
);
const toolChoice = shape({ type: one("auto", "any", "tool", "none"), name }, {}, { disable_parallel_tool_use: fc.boolean() });

export const messages = shape(
  { model, messages: list(message, 4, 1), max_tokens: tokens },
  {
    stream,
    system: fc.oneof(text, list(textBlock)),
    temperature: rather([0, 1], [2]),
    stop_sequences: list(text),
    metadata: shape({}, { user_id: text }, { other: junk }),
  },
  {
    top_p: rather([0, 1], [2]),
    top_k: rather([0, 5], [-1]),
    tools: list(tool, 3, 1),
    tool_choice: toolChoice,
    thinking: shape({ type: one("enabled", "disabled", "adaptive"), budget_tokens: rather([1024, 4096], [0]) }),
    output_config: shape({}, { format: shape({ type: one("json_schema"), schema }), effort: one("low", "high", "max", "__proto__") }),
    output_format: shape({ type: one("json_schema"), schema }),
    service_tier: junk,
    container: junk,
    context_management: junk,
    mcp_servers: junk,
  },
);

/** Messages in which tools are what matters. */
export const messagesWithTools = shape(
  { model, messages: list(message, 3, 1), max_tokens: tokens, tools: list(tool, 3, 1), tool_choice: toolChoice },
  { stream, system: text },
);
