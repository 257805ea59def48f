import { finishReason, mergeUsage, readErrorBody, refusalText, string } from "./anthropic-reply.ts";
import type { ChatChunk, ChunkChoice, JsonObject, Usage } from "./canonical.ts";
import { isObject } from "./checks.ts";
import type { FrameKind, StreamReader, UpstreamErrorInfo } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import { parseObject, stringBytes } from "./json-text.ts";
import type { Frame } from "./sse.ts";
import { writeWireUsage } from "./usage.ts";

const ANSWER = /"(?:text|thinking|partial_json)":"/g;

/** An open block of the stream, by what the canonical form makes of it. */
type Block =
  | { readonly kind: "text" | "other" }
  | { readonly kind: "thinking"; thinking: string; signature: string }
  | { readonly kind: "tool"; readonly index: number; begun: boolean };

/**
 * Reads a stream of Anthropic's. Its frames say their kind in the `event:` line, so only those with usage, an error or the
 * beginning of a block are parsed unless they are decoded.
 */
export class AnthropicStreamReader implements StreamReader {
  readonly endsWithBody = false;
  usage: Usage | null = null;
  error: UpstreamErrorInfo | null = null;
  outputBytes = 0;
  /** Whether content has come. */
  #committed = false;
  /** Whether the current frame starts a message that has already begun. */
  #repeated = false;
  #id = "";
  #model: string;
  readonly #created = createdNow();
  readonly #blocks = new Map<unknown, Block>();
  #tools = 0;
  #parsed: { readonly frame: Frame; readonly body: JsonObject | null } | undefined;

  constructor(model: string) {
    this.#model = model;
  }

  inspect(frame: Frame): FrameKind {
    if (frame.data === "" && frame.event === "") return "lifecycle";
    const kind = this.#kind(frame);
    if (kind === "content") this.#committed = true;
    return kind;
  }

  #kind(frame: Frame): FrameKind {
    switch (frame.event || string(this.#body(frame)?.type)) {
      case "content_block_delta":
        if (!frame.data.startsWith("{")) return this.#fail(null);
        this.outputBytes += this.#deltaBytes(frame);
        return "content";
      case "ping":
        return "lifecycle";
      case "message_start":
        return this.#start(frame);
      case "content_block_start":
        return this.#blockKind(this.#body(frame)?.content_block);
      case "message_delta": {
        const body = this.#body(frame);
        if (body === null) return this.#fail(null);
        this.usage = mergeUsage(this.usage, body.usage);
        return "content";
      }
      case "message_stop":
        return "end";
      case "error":
        return this.#fail(this.#body(frame));
      case "":
        return this.#fail(null);
      default:
        // content_block_stop, and what is still to be invented.
        return this.#committed ? "content" : "lifecycle";
    }
  }

  #deltaBytes(frame: Frame): number {
    const found = stringBytes(frame.data, ANSWER);
    if (found > 0) return found;
    // Nothing said, or JSON in another spacing.
    const delta = this.#body(frame)?.delta;
    if (!isObject(delta)) return 0;
    return Buffer.byteLength(string(delta.text) + string(delta.thinking) + string(delta.partial_json));
  }

  /** The same start twice is a provider's stutter; another one in the middle of an answer is another answer. */
  #start(frame: Frame): FrameKind {
    const message = this.#body(frame)?.message;
    if (!isObject(message)) return this.#fail(null);
    const id = string(message.id);
    this.#repeated = this.#id !== "";
    if (this.#committed && id !== this.#id) return this.#fail({ message: "The provider began another answer in the middle of one." });
    this.#id = id || this.#id || makeId("msg");
    this.#model = string(message.model) || this.#model;
    this.usage = mergeUsage(this.usage, message.usage);
    return "lifecycle";
  }

  #blockKind(block: unknown): FrameKind {
    if (!isObject(block)) return this.#fail(null);
    const empty = (block.type === "text" && !block.text) || (block.type === "thinking" && !block.thinking);
    return empty && !this.#committed ? "lifecycle" : "content";
  }

  #fail(body: JsonObject | null): FrameKind {
    this.error = body === null ? { message: "The provider sent an event that could not be read." } : readErrorBody(body);
    return "error";
  }

  decode(frame: Frame): ChatChunk[] {
    const body = this.#body(frame);
    if (body === null) return [];
    switch (body.type) {
      case "message_start":
        return this.#repeated ? [] : [this.#chunk({ role: "assistant", content: "" })];
      case "content_block_start":
        return isObject(body.content_block) ? this.#open(body.index, body.content_block) : [];
      case "content_block_delta":
        return isObject(body.delta) ? this.#continue(body.index, body.delta) : [];
      case "content_block_stop":
        return this.#close(body.index);
      case "message_delta":
        return this.#finish(isObject(body.delta) ? body.delta : {});
      default:
        return [];
    }
  }

  #open(index: unknown, block: JsonObject): ChatChunk[] {
    switch (block.type) {
      case "text":
        this.#blocks.set(index, { kind: "text" });
        return block.text ? [this.#chunk({ content: string(block.text) })] : [];
      case "thinking": {
        const thinking = string(block.thinking);
        this.#blocks.set(index, { kind: "thinking", thinking, signature: string(block.signature) });
        return thinking ? [this.#chunk({ reasoning_content: thinking })] : [];
      }
      case "redacted_thinking":
        this.#blocks.set(index, { kind: "other" });
        return [this.#chunk({ reasoning_details: [{ type: "redacted_thinking", data: string(block.data) }] })];
      case "tool_use": {
        // The whole input may stand here already; usually it is empty and follows in pieces.
        const whole = isObject(block.input) && Object.keys(block.input).length > 0 ? JSON.stringify(block.input) : "";
        const tool = { kind: "tool", index: this.#tools, begun: whole !== "" } as const;
        this.#tools += 1;
        this.#blocks.set(index, tool);
        const called = { name: string(block.name), arguments: whole };
        return [
          this.#chunk({ tool_calls: [{ index: tool.index, id: string(block.id) || makeId("toolu"), type: "function", function: called }] }),
        ];
      }
      default:
        this.#blocks.set(index, { kind: "other" });
        return [];
    }
  }

  #continue(index: unknown, delta: JsonObject): ChatChunk[] {
    const block = this.#blocks.get(index);
    if (delta.type === "text_delta" && block?.kind === "text") return [this.#chunk({ content: string(delta.text) })];
    if (delta.type === "input_json_delta" && block?.kind === "tool") {
      const text = string(delta.partial_json);
      block.begun ||= text !== "";
      return text ? [this.#chunk({ tool_calls: [{ index: block.index, function: { arguments: text } }] })] : [];
    }
    if (block?.kind !== "thinking") return [];
    if (delta.type === "signature_delta") block.signature = string(delta.signature);
    if (delta.type !== "thinking_delta") return [];
    block.thinking += string(delta.thinking);
    return [this.#chunk({ reasoning_content: string(delta.thinking) })];
  }

  #close(index: unknown): ChatChunk[] {
    const block = this.#blocks.get(index);
    this.#blocks.delete(index);
    if (block?.kind === "thinking") {
      const { thinking, signature } = block;
      return [this.#chunk({ reasoning_details: [{ type: "thinking", thinking, ...(signature && { signature }) }] })];
    }
    // OpenAI's clients parse what they get, so a call without input has to say `{}`.
    if (block?.kind === "tool" && !block.begun)
      return [this.#chunk({ tool_calls: [{ index: block.index, function: { arguments: "{}" } }] })];
    return [];
  }

  #finish(delta: JsonObject): ChatChunk[] {
    const finish = finishReason(delta.stop_reason);
    const refusal = refusalText(delta.stop_details);
    const sequence = typeof delta.stop_sequence === "string" ? { stop_sequence: delta.stop_sequence } : {};
    const chunks = finish ? [this.#chunk(refusal === null ? {} : { refusal }, { finish_reason: finish, ...sequence })] : [];
    if (this.usage) chunks.push({ ...this.#chunk({}), choices: [], usage: writeWireUsage(this.usage) });
    return chunks;
  }

  #chunk(delta: ChunkChoice["delta"], end: Partial<ChunkChoice> = {}): ChatChunk {
    return {
      id: this.#id,
      object: "chat.completion.chunk",
      created: this.#created,
      model: this.#model,
      choices: [{ index: 0, delta, finish_reason: null, ...end }],
    };
  }

  #body(frame: Frame): JsonObject | null {
    if (this.#parsed?.frame !== frame) this.#parsed = { frame, body: parseObject(frame.data) };
    return this.#parsed.body;
  }
}
