import { stopReason, writeAnthropicUsage } from "./anthropic-reply.ts";
import type { ChatChunk, ChunkChoice, FinishReason, Json, JsonObject, ReasoningDetail, ToolCallDelta, WireUsage } from "./canonical.ts";
import type { StreamWriter } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import { parseObject } from "./json-text.ts";
import { unreadable } from "./translation.ts";

/** Most characters of arguments kept for calls that have to wait for their turn. */
const BUFFER_LIMIT = 1024 * 1024;

interface Call {
  readonly id: string;
  readonly name: string;
  /** Arguments so far. */
  text: string;
  state: "waiting" | "open" | "closed";
}

/**
 * Writes a canonical stream as Anthropic's events. Its blocks come one after the other, so a block closes when another
 * kind of content begins. Calls may come interleaved: a later one waits until the open one's arguments are whole.
 */
export class AnthropicStreamWriter implements StreamWriter {
  #begun = false;
  /** Index of the open block, or of the next. */
  #index = 0;
  #open: "text" | "thinking" | "tool" | undefined;
  readonly #calls = new Map<number, Call>();
  #buffered = 0;
  #finish: FinishReason | null | undefined;
  #sequence: string | null | undefined;
  #refused = false;
  #usage: WireUsage | undefined;

  write(chunk: ChatChunk): string {
    this.#usage = chunk.usage ?? this.#usage;
    const begin = this.#begun ? "" : this.#begin(chunk);
    return chunk.choices.filter(({ index }) => index === 0).reduce((text, choice) => text + this.#choice(choice), begin);
  }

  end(): string {
    const begin = this.#begun
      ? ""
      : this.#begin({ id: makeId("msg"), object: "chat.completion.chunk", created: createdNow(), model: "", choices: [] });
    const closed = this.#closeAll();
    const sequence = this.#sequence ?? null;
    const reason = this.#refused ? "refusal" : stopReason(this.#finish, sequence, this.#calls.size > 0);
    const delta = { stop_reason: reason, stop_sequence: sequence };
    const usage = writeAnthropicUsage(this.#usage);
    return `${begin}${closed}${event("message_delta", { delta, usage })}${event("message_stop", {})}`;
  }

  /** Usage is mostly not known yet; the SDKs take the true numbers from `message_delta`. */
  #begin({ id, model }: ChatChunk): string {
    this.#begun = true;
    const usage = writeAnthropicUsage(this.#usage);
    const message = { id, type: "message", role: "assistant", model, content: [], stop_reason: null, stop_sequence: null, usage };
    return event("message_start", { message });
  }

  #choice({ delta, finish_reason: finish, stop_sequence: sequence }: ChunkChoice): string {
    this.#finish = finish ?? this.#finish;
    this.#sequence = sequence ?? this.#sequence;
    let text = "";
    // A chunk with both says the same twice, unless the detail only closes what has been streamed.
    const whole = this.#open !== "thinking" && delta.reasoning_details?.some(({ type }) => type === "thinking");
    if (delta.reasoning_content && !whole) text += this.#thinking(delta.reasoning_content);
    for (const detail of delta.reasoning_details ?? []) text += this.#detail(detail);
    if (delta.content) text += this.#text(delta.content);
    if (delta.refusal) {
      this.#refused = true;
      text += this.#text(delta.refusal);
    }
    for (const call of delta.tool_calls ?? []) text += this.#call(call);
    return text;
  }

  #text(text: string): string {
    const opened = this.#open === "text" ? "" : this.#closeAll() + this.#start("text", { type: "text", text: "" });
    return opened + this.#delta({ type: "text_delta", text });
  }

  #thinking(thinking: string): string {
    const opened =
      this.#open === "thinking" ? "" : this.#closeAll() + this.#start("thinking", { type: "thinking", thinking: "", signature: "" });
    return opened + this.#delta({ type: "thinking_delta", thinking });
  }

  /** With a block of thinking open, its text has been written already and the detail brings the signature. */
  #detail(detail: ReasoningDetail): string {
    if (detail.type === "redacted_thinking") {
      return this.#closeAll() + this.#start("thinking", { ...detail }) + this.#close();
    }
    if (detail.type !== "thinking") return "";
    const text = this.#open === "thinking" ? "" : this.#thinking(detail.thinking);
    const signed = detail.signature ? this.#delta({ type: "signature_delta", signature: detail.signature }) : "";
    return text + signed + this.#close();
  }

  #call({ index, id, function: called = {} }: ToolCallDelta): string {
    const text = called.arguments ?? "";
    const known = this.#calls.get(index);
    const call: Call = known ?? { id: id ?? makeId("toolu"), name: called.name ?? "", text: "", state: "waiting" };
    if (!known) this.#calls.set(index, call);
    if (call.state === "closed" && text.trim() !== "") throw unreadable("a tool call went on after its end");
    call.text += text;
    if (call.state === "open") return text ? this.#delta({ type: "input_json_delta", partial_json: text }) : "";
    if (call.state === "closed") return "";
    this.#buffered += text.length;
    if (this.#buffered > BUFFER_LIMIT) throw unreadable("interleaved tool calls are too long to be put in order");
    const open = [...this.#calls.values()].find(({ state }) => state === "open");
    if (open && !isWhole(open.text)) return "";
    return this.#advance();
  }

  /** Closes the open block and opens waiting calls in their order, up to one that is not whole yet. */
  #advance(): string {
    let text = this.#close();
    for (const call of this.#calls.values()) {
      if (call.state !== "waiting") continue;
      text += this.#close() + this.#openCall(call);
      if (!isWhole(call.text)) break;
    }
    return text;
  }

  #openCall(call: Call): string {
    call.state = "open";
    this.#buffered -= call.text.length;
    const start = this.#start("tool", { type: "tool_use", id: call.id, name: call.name, input: {} });
    return call.text ? start + this.#delta({ type: "input_json_delta", partial_json: call.text }) : start;
  }

  #closeAll(): string {
    let text = this.#close();
    for (const call of this.#calls.values()) if (call.state === "waiting") text += this.#openCall(call) + this.#close();
    return text;
  }

  #start(kind: "text" | "thinking" | "tool", block: JsonObject): string {
    this.#open = kind;
    return event("content_block_start", { index: this.#index, content_block: block });
  }

  #delta(delta: JsonObject): string {
    return event("content_block_delta", { index: this.#index, delta });
  }

  #close(): string {
    if (this.#open === undefined) return "";
    if (this.#open === "tool") for (const call of this.#calls.values()) if (call.state === "open") call.state = "closed";
    this.#open = undefined;
    const text = event("content_block_stop", { index: this.#index });
    this.#index += 1;
    return text;
  }
}

/** Whether arguments are a whole JSON object; the cheap look first, because it is asked at every piece that waits. */
function isWhole(text: string): boolean {
  return text.trimEnd().endsWith("}") && parseObject(text) !== null;
}

function event(type: string, fields: { readonly [name: string]: Json | undefined }): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}
