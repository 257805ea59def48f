import type { AssistantMessage, ContentPart, JsonObject, Message, ToolCall, ToolMessage } from "./canonical.ts";
import { isObject, unsupported } from "./checks.ts";
import { functionCalls, parseArguments, partsOf, readDataUrl, textOf } from "./translation.ts";

export const TARGET = "Gemini";

/** Accepted by Gemini in place of a signature that another model's call cannot have (https://ai.google.dev/gemini-api/docs/thought-signatures). */
const NO_SIGNATURE = "skip_thought_signature_validator";

const IMAGE_TYPES: Readonly<Record<string, string>> = {
  gif: "image/gif",
  heic: "image/heic",
  heif: "image/heif",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
};

/**
 * Gemini 3 and later: thinking levels instead of budgets, signatures demanded on function calls, images in function
 * results. Names without a number (`gemini-flash-latest`) mean one of these.
 */
export function isGemini3(model: string): boolean {
  return /gemini-(?:[3-9]|\d\d|[a-z])/.test(model);
}

export interface Contents {
  readonly contents: readonly JsonObject[];
  readonly systemInstruction: JsonObject | undefined;
}

/**
 * A conversation as Gemini's contents. System messages, wherever they stand, become the one system instruction that
 * Gemini has; the results of parallel calls become one turn, as it demands.
 */
export function writeContents(messages: readonly Message[], model: string, dropped: Set<string>): Contents {
  const writer = new ContentsWriter(model, dropped);
  messages.forEach((message, index) => {
    writer.add(message, `messages[${index}]`);
  });
  return { contents: writer.contents, systemInstruction: writer.system.length > 0 ? { parts: writer.system } : undefined };
}

class ContentsWriter {
  readonly contents: JsonObject[] = [];
  readonly system: JsonObject[] = [];
  readonly #model: string;
  readonly #dropped: Set<string>;
  /** Names of the functions called so far, by call id: Gemini wants the name with the result. */
  readonly #calls = new Map<string, string>();
  /** The turn that collects function results, while it is the last one. */
  #results: JsonObject[] | undefined;

  constructor(model: string, dropped: Set<string>) {
    this.#model = model;
    this.#dropped = dropped;
  }

  add(message: Message, path: string): void {
    if (message.role !== "tool") {
      this.#results = undefined;
      if (message.name) this.#dropped.add("messages[].name");
    }
    switch (message.role) {
      case "system":
      case "developer":
        this.system.push(...partsOf(message.content).map((part, index) => ({ text: this.#text(part, `${path}.content[${index}]`) })));
        break;
      case "user":
        this.#addTurn("user", this.#parts(message.content, path));
        break;
      case "assistant":
        this.#addTurn("model", this.#assistantParts(message, path));
        break;
      case "tool":
        this.#addResult(message, path);
        break;
      default:
        throw unsupported(`${path}.role`, TARGET);
    }
  }

  #addTurn(role: string, parts: JsonObject[]): void {
    if (parts.length > 0) this.contents.push({ role, parts });
  }

  #addResult(message: ToolMessage, path: string): void {
    const name = this.#calls.get(message.tool_call_id);
    if (name === undefined) throw unsupported(`${path}.tool_call_id`, `${TARGET}: no earlier message makes this call`);
    const texts: string[] = [];
    const images: JsonObject[] = [];
    partsOf(message.content).forEach((part, index) => {
      const at = `${path}.content[${index}]`;
      if (part.type === "image_url" && isGemini3(this.#model)) images.push(this.#part(part, at));
      else texts.push(this.#text(part, at));
    });
    const text = texts.join("\n");
    const response = message.is_error ? { error: text } : { output: text };
    if (!this.#results) {
      this.#results = [];
      this.contents.push({ role: "user", parts: this.#results });
    }
    this.#results.push({
      functionResponse: { id: message.tool_call_id, name, response, ...(images.length > 0 && { parts: images }) },
    });
  }

  #assistantParts(message: AssistantMessage, path: string): JsonObject[] {
    const calls = functionCalls(message, path, TARGET);
    const signed = calls.some((call) => signatureOf(call) !== undefined);
    return [
      ...this.#thoughts(message),
      ...this.#parts(message.content, path).filter((part) => part.text !== ""),
      ...(message.refusal ? [{ text: message.refusal }] : []),
      ...calls.map((call, index) => {
        const { name, arguments: text } = call.function;
        this.#calls.set(call.id, name);
        if (call.cache_control) this.#dropped.add("messages[].tool_calls[].cache_control");
        const args = parseArguments(text, `${path}.tool_calls[${index}].function.arguments`, TARGET);
        const missing = index === 0 && !signed && isGemini3(this.#model) ? NO_SIGNATURE : undefined;
        return { functionCall: { id: call.id, name, args }, thoughtSignature: signatureOf(call) ?? missing };
      }),
    ];
  }

  /** Signatures here may be another provider's, which Gemini would reject; its own travel with the tool calls. */
  #thoughts({ reasoning_details, reasoning_content }: AssistantMessage): JsonObject[] {
    if (!reasoning_details) return reasoning_content ? [{ text: reasoning_content, thought: true }] : [];
    return reasoning_details.flatMap((detail) => {
      if (detail.type === "thinking") {
        if (detail.signature) this.#dropped.add("messages[].reasoning_details[].signature");
        return detail.thinking ? [{ text: detail.thinking, thought: true }] : [];
      }
      this.#dropped.add("messages[].reasoning_details");
      return [];
    });
  }

  #parts(content: string | null | undefined | readonly ContentPart[], path: string): JsonObject[] {
    return partsOf(content).map((part, index) => this.#part(part, `${path}.content[${index}]`));
  }

  #part(part: ContentPart, path: string): JsonObject {
    if (part.type === "image_url") {
      this.#noteMarks(part.cache_control);
      if (part.image_url.detail && part.image_url.detail !== "auto") this.#dropped.add("messages[].content[].image_url.detail");
      return imagePart(part.image_url.url);
    }
    if (part.type === "input_audio" && isObject(part.input_audio)) {
      const { data, format } = part.input_audio;
      if (typeof data === "string" && typeof format === "string") return { inlineData: { mimeType: `audio/${format}`, data } };
    }
    if (part.type === "file" && isObject(part.file) && typeof part.file.file_data === "string") {
      const file = readDataUrl(part.file.file_data);
      if (file) return { inlineData: { mimeType: file.mediaType, data: file.data } };
    }
    return { text: this.#text(part, path) };
  }

  #text(part: ContentPart, path: string): string {
    if (part.type === "text") this.#noteMarks(part.cache_control);
    return textOf(part, path, TARGET);
  }

  #noteMarks(cacheControl: unknown): void {
    if (cacheControl) this.#dropped.add("messages[].content[].cache_control");
  }
}

/** Addresses that are no `data:` URL are given to Gemini to fetch. */
function imagePart(url: string): JsonObject {
  const inline = readDataUrl(url);
  if (inline) return { inlineData: { mimeType: inline.mediaType, data: inline.data } };
  const extension = /\.([a-z]{3,4})(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? "";
  return { fileData: { fileUri: url, mimeType: Object.hasOwn(IMAGE_TYPES, extension) ? IMAGE_TYPES[extension] : undefined } };
}

/** Where Google's own OpenAI layer puts it (https://ai.google.dev/gemini-api/docs/openai). */
function signatureOf({ extra_content }: ToolCall): string | undefined {
  const google = isObject(extra_content) ? extra_content.google : undefined;
  const signature = isObject(google) ? google.thought_signature : undefined;
  return typeof signature === "string" ? signature : undefined;
}
