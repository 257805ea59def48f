import type {
  AssistantMessage,
  ContentPart,
  Json,
  JsonObject,
  Message,
  ReasoningDetail,
  SystemMessage,
  ToolCall,
  ToolMessage,
} from "./canonical.ts";
import { checkArray, checkBoolean, checkName, checkObject, checkOneOf, checkString, invalid, isObject } from "./checks.ts";
import type { ForeignCollector } from "./foreign.ts";

export const ANTHROPIC = "anthropic-messages";

/** Reads Anthropic's messages and blocks into canonical ones. */

/** Members of blocks that may be left out where a target does not know them. */
const BLOCK_HINTS = new Set(["citations", "caller"]);

export function readSystem(value: Json | undefined, foreign: ForeignCollector): SystemMessage[] {
  if (value === undefined || value === null || value === "") return [];
  return [{ role: "system", content: readText(value, "system", foreign) }];
}

export function readMessages(value: Json | undefined, foreign: ForeignCollector): Message[] {
  const messages = checkArray(value, "messages");
  if (messages.length === 0) throw invalid("messages", "must not be empty");
  return messages.flatMap((each, at): Message[] => {
    const path = `messages[${at}]`;
    const message = checkObject(each, path);
    const role = checkOneOf(message.role, `${path}.role`, ["user", "assistant", "system"]);
    if (role === "system") return [{ role, content: readText(message.content, `${path}.content`, foreign) }];
    if (typeof message.content === "string") return [{ role, content: message.content }];
    const blocks = readBlocks(message.content, `${path}.content`);
    return role === "user" ? readUser(blocks, foreign) : [readAssistant(blocks, foreign)];
  });
}

interface Block {
  readonly type: string;
  readonly path: string;
  readonly value: JsonObject;
}

function readBlocks(value: Json | undefined, path: string): Block[] {
  if (!Array.isArray(value)) throw invalid(path, "must be a string or an array of content blocks");
  return checkArray(value, path).map((each, at) => {
    const block = checkObject(each, `${path}[${at}]`);
    return { type: checkString(block.type, `${path}[${at}].type`), path: `${path}[${at}]`, value: block };
  });
}

function readText(value: Json | undefined, path: string, foreign: ForeignCollector): string | ContentPart[] {
  return typeof value === "string" ? value : simplest(readBlocks(value, path).map((block) => readPart(block, foreign)));
}

/** A single plain text is a string, as most targets and plugins like it best. */
function simplest(parts: ContentPart[]): string | ContentPart[] {
  const [first] = parts;
  return parts.length === 1 && first?.type === "text" && first.cache_control === undefined ? first.text : parts;
}

/** Tool results come first, because canonical ones have to follow their calls; so does Anthropic's own rule. */
function readUser(blocks: readonly Block[], foreign: ForeignCollector): Message[] {
  const results = blocks.filter(({ type }) => type === "tool_result").map((block) => readToolResult(block, foreign));
  const parts = blocks.filter(({ type }) => type !== "tool_result").map((block) => readPart(block, foreign));
  return parts.length > 0 || results.length === 0 ? [...results, { role: "user", content: simplest(parts) }] : results;
}

const RESULT_FIELDS = new Set(["type", "tool_use_id", "content", "is_error", "cache_control"]);

function readToolResult({ path, value }: Block, foreign: ForeignCollector): ToolMessage {
  foreign.rest(value, `${path}.`, RESULT_FIELDS, BLOCK_HINTS);
  const { content = "", is_error: failed, cache_control: marker } = value;
  return {
    role: "tool",
    tool_call_id: checkName(value.tool_use_id, `${path}.tool_use_id`),
    content: marked(content === null ? "" : readText(content, `${path}.content`, foreign), marker),
    ...(failed !== undefined && failed !== null && { is_error: checkBoolean(failed, `${path}.is_error`) }),
  };
}

/** A result's cache marker stands on its last part, where it means the same. */
function marked(content: string | ContentPart[], marker: Json | undefined): string | ContentPart[] {
  if (!marker) return content;
  const parts: ContentPart[] = typeof content === "string" ? [{ type: "text", text: content }] : content;
  const last = parts.at(-1);
  if (last?.type !== "text" && last?.type !== "image_url") return content;
  return [...parts.slice(0, -1), { ...last, cache_control: marker }];
}

const TEXT_FIELDS = new Set(["type", "text", "cache_control"]);
const IMAGE_FIELDS = new Set(["type", "source", "cache_control"]);

function readPart({ type, path, value }: Block, foreign: ForeignCollector): ContentPart {
  const marker = value.cache_control ? { cache_control: value.cache_control } : {};
  if (type === "text") {
    foreign.rest(value, `${path}.`, TEXT_FIELDS, BLOCK_HINTS);
    return { type, text: checkString(value.text, `${path}.text`), ...marker };
  }
  const url = type === "image" ? imageUrl(checkObject(value.source, `${path}.source`), `${path}.source`) : null;
  if (url === null) return { type: "foreign", dialect: ANTHROPIC, path, value };
  foreign.rest(value, `${path}.`, IMAGE_FIELDS, BLOCK_HINTS);
  return { type: "image_url", image_url: { url }, ...marker };
}

/** The address of an image, or null for one that only Anthropic can look up (its `file` source). */
function imageUrl(source: JsonObject, path: string): string | null {
  if (source.type === "url") return checkString(source.url, `${path}.url`);
  if (source.type !== "base64") return null;
  return `data:${checkString(source.media_type, `${path}.media_type`)};base64,${checkString(source.data, `${path}.data`)}`;
}

/** Order is kept among texts, among calls and among thoughts, which is all that the canonical form can say. */
function readAssistant(blocks: readonly Block[], foreign: ForeignCollector): AssistantMessage {
  const parts: ContentPart[] = [];
  const calls: ToolCall[] = [];
  const details: ReasoningDetail[] = [];
  for (const block of blocks) {
    if (block.type === "tool_use") calls.push(readToolUse(block, foreign));
    else if (block.type === "thinking" || block.type === "redacted_thinking") details.push(readThought(block));
    else parts.push(readPart(block, foreign));
  }
  return {
    role: "assistant",
    content: parts.length === 0 && calls.length > 0 ? null : parts.length === 0 ? "" : simplest(parts),
    ...(details.length > 0 && { reasoning_details: details }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

const CALL_FIELDS = new Set(["type", "id", "name", "input", "cache_control"]);

function readToolUse({ path, value }: Block, foreign: ForeignCollector): ToolCall {
  foreign.rest(value, `${path}.`, CALL_FIELDS, BLOCK_HINTS);
  if (!isObject(value.input)) throw invalid(`${path}.input`, "must be an object");
  return {
    id: checkName(value.id, `${path}.id`),
    type: "function",
    function: { name: checkName(value.name, `${path}.name`), arguments: JSON.stringify(value.input) },
    ...(value.cache_control ? { cache_control: value.cache_control } : {}),
  };
}

function readThought({ type, path, value }: Block): ReasoningDetail {
  if (type === "redacted_thinking") return { type, data: checkString(value.data, `${path}.data`) };
  const { signature } = value;
  return {
    type: "thinking",
    thinking: checkString(value.thinking, `${path}.thinking`),
    ...(signature !== undefined && signature !== null && { signature: checkString(signature, `${path}.signature`) }),
  };
}
