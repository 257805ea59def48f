import { ANTHROPIC } from "./anthropic-content.ts";
import type { AssistantMessage, ContentPart, Json, JsonObject, Message, SystemMessage, ToolMessage } from "./canonical.ts";
import { unsupported, unsupportedPart } from "./checks.ts";
import { parseArguments, partsOf, readDataUrl, textOf } from "./translation.ts";

/** Writes canonical messages as Anthropic's: system text apart, and consecutive messages of one side as one. */

type Turn = { readonly role: "user" | "assistant"; readonly content: JsonObject[] };

export function writeConversation(messages: readonly Message[], dropped: Set<string>): { system?: Json; messages: Json[] } {
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  for (const [at, message] of messages.entries()) {
    const path = `messages[${at}]`;
    if ("name" in message && message.name) dropped.add("messages[].name");
    if (isSystem(message)) {
      system.push(...writeParts(message.content, `${path}.content`, dropped));
      continue;
    }
    const role = message.role === "assistant" ? "assistant" : "user";
    const blocks = writeMessage(message, path, dropped);
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else if (blocks.length > 0) turns.push({ role, content: [...blocks] });
  }
  return {
    ...(system.length > 0 && { system: simplest(system) }),
    messages: turns.map(({ role, content }) => ({ role, content: simplest(content) })),
  };
}

function isSystem(message: Message): message is SystemMessage {
  return message.role === "system" || message.role === "developer";
}

/** A single plain text needs no block around it. */
function simplest(blocks: readonly JsonObject[]): Json {
  const [first] = blocks;
  return blocks.length === 1 && first?.type === "text" && Object.keys(first).length === 2 ? (first.text ?? "") : blocks;
}

function writeMessage(message: Exclude<Message, SystemMessage>, path: string, dropped: Set<string>): JsonObject[] {
  switch (message.role) {
    case "user":
      return writeParts(message.content, `${path}.content`, dropped);
    case "assistant":
      return writeAssistant(message, path, dropped);
    case "tool":
      return [writeResult(message, path, dropped)];
    default:
      // OpenAI's deprecated `function` role.
      throw unsupported(`${path}.role`, ANTHROPIC);
  }
}

/** Empty texts, which Anthropic refuses, say nothing and are left out. */
function writeParts(content: string | null | undefined | readonly ContentPart[], path: string, dropped: Set<string>): JsonObject[] {
  return partsOf(content).flatMap((part, at) => {
    if (part.type === "foreign") {
      if (part.dialect !== ANTHROPIC) throw unsupportedPart(part, ANTHROPIC);
      return [part.value];
    }
    const marker = part.cache_control ? { cache_control: part.cache_control } : {};
    if (part.type === "image_url") {
      const { url, detail } = part.image_url;
      if (detail && detail !== "auto") dropped.add("messages[].content[].image_url.detail");
      return [{ type: "image", source: writeImage(url, `${path}[${at}].image_url`), ...marker }];
    }
    const text = textOf(part, typeof content === "string" ? path : `${path}[${at}]`, ANTHROPIC);
    return text === "" ? [] : [{ type: "text", text, ...marker }];
  });
}

function writeImage(url: string, path: string): JsonObject {
  const inline = readDataUrl(url);
  if (inline) return { type: "base64", media_type: inline.mediaType, data: inline.data };
  if (!/^https?:\/\//i.test(url)) throw unsupported(path, ANTHROPIC);
  return { type: "url", url };
}

/** Only thoughts that Anthropic signed go back to it: it refuses others. */
function writeAssistant(message: AssistantMessage, path: string, dropped: Set<string>): JsonObject[] {
  const details = message.reasoning_details ?? [];
  const signed = details.filter((detail) => detail.type === "redacted_thinking" || (detail.type === "thinking" && detail.signature));
  if (signed.length < details.length) dropped.add("messages[].reasoning_details");
  if (message.reasoning_content && signed.length === 0) dropped.add("messages[].reasoning_content");
  const said = writeParts(message.content, `${path}.content`, dropped);
  if (said.length === 0 && message.refusal) said.push({ type: "text", text: message.refusal });
  const calls = (message.tool_calls ?? []).map((call, at): JsonObject => {
    const place = `${path}.tool_calls[${at}]`;
    if (!call.function) throw unsupported(place, ANTHROPIC);
    if (call.extra_content) dropped.add("messages[].tool_calls[].extra_content");
    return {
      type: "tool_use",
      id: toolId(call.id),
      name: call.function.name,
      input: parseArguments(call.function.arguments, `${place}.function.arguments`, ANTHROPIC),
      ...(call.cache_control ? { cache_control: call.cache_control } : {}),
    };
  });
  return [...signed, ...said, ...calls];
}

function writeResult(message: ToolMessage, path: string, dropped: Set<string>): JsonObject {
  const content = writeParts(message.content, `${path}.content`, dropped);
  return {
    type: "tool_result",
    tool_use_id: toolId(message.tool_call_id),
    ...(content.length > 0 && { content: simplest(content) }),
    ...(message.is_error && { is_error: true }),
  };
}

/** Anthropic takes letters, digits, `_` and `-` only; other providers' ids have dots and colons. */
function toolId(id: string): string {
  return id.replace(/[^a-zA-Z0-9_-]/g, "_") || "_";
}
