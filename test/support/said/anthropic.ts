import type { Said } from "../said.ts";

interface AnthropicBlock {
  type: string;
  text?: string;
  thinking?: string;
  id?: string;
  name?: string;
  input?: object;
}
interface AnthropicUsage {
  input_tokens?: number;
  output_tokens?: number;
  cache_read_input_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
  output_tokens_details?: { thinking_tokens?: number } | null;
}
interface AnthropicMessage {
  id?: string;
  model?: string;
  content?: AnthropicBlock[];
  stop_reason?: string | null;
  stop_details?: { explanation?: string } | null;
  usage?: AnthropicUsage;
}
interface AnthropicEvent {
  type: string;
  index?: number;
  message?: AnthropicMessage;
  content_block?: AnthropicBlock;
  delta?: { text?: string; thinking?: string; partial_json?: string } & Pick<AnthropicMessage, "stop_reason" | "stop_details">;
  usage?: AnthropicUsage;
}

const ANTHROPIC_FINISH: Record<string, string> = {
  end_turn: "stop",
  stop_sequence: "stop",
  pause_turn: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

export function anthropicSaid(events: readonly (AnthropicEvent & AnthropicMessage)[]): Said {
  const [first] = events;
  if (first?.type === "message") return anthropicMessageSaid(first, (first.content ?? []).map(withInput));
  const blocks: (AnthropicBlock & { json: string })[] = [];
  let message: AnthropicMessage = {};
  for (const { type, index = 0, message: start, content_block: begun, delta = {}, usage } of events) {
    if (type === "message_start") message = start ?? {};
    if (type === "content_block_start" && begun) blocks[index] = withInput(begun);
    const block = blocks[index];
    if (type === "content_block_delta" && block) {
      block.text = (block.text ?? "") + (delta.text ?? "");
      block.thinking = (block.thinking ?? "") + (delta.thinking ?? "");
      block.json += delta.partial_json ?? "";
    }
    if (type === "message_delta") message = { ...message, ...delta, usage: { ...message.usage, ...usage } };
  }
  return anthropicMessageSaid(message, blocks);
}

function withInput(block: AnthropicBlock): AnthropicBlock & { json: string } {
  return { ...block, json: Object.keys(block.input ?? {}).length > 0 ? JSON.stringify(block.input) : "" };
}

function anthropicMessageSaid(message: AnthropicMessage, blocks: readonly (AnthropicBlock & { json: string })[]): Said {
  const {
    input_tokens: input,
    output_tokens: output,
    cache_read_input_tokens: read,
    cache_creation_input_tokens: write,
  } = message.usage ?? {};
  return {
    id: message.id,
    model: message.model,
    text: blocks.map((block) => (block.type === "text" ? block.text : "")).join(""),
    refusal: message.stop_details?.explanation ?? "",
    reasoning: blocks.map((block) => (block.type === "thinking" ? block.thinking : "")).join(""),
    calls: blocks.filter(({ type }) => type === "tool_use").map(({ id, name = "", json }) => ({ id, name, args: json })),
    finish: message.stop_reason ? (ANTHROPIC_FINISH[message.stop_reason] ?? message.stop_reason) : undefined,
    usage: message.usage && {
      inputTokens: (input ?? 0) + (read ?? 0) + (write ?? 0),
      outputTokens: output ?? 0,
      cachedTokens: read ?? 0,
      cacheWriteTokens: write ?? 0,
      reasoningTokens: message.usage.output_tokens_details?.thinking_tokens ?? 0,
    },
  };
}
