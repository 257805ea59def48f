import type { ChatChunk, ChunkChoice, Json, JsonObject, ToolCallDelta, Usage } from "./canonical.ts";
import { isObject } from "./checks.ts";
import { callId, finishReason, readCohereError, readCohereUsage, readLogprobs } from "./cohere-reply.ts";
import type { CanonicalRequest, FrameKind, StreamReader, UpstreamErrorInfo } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import type { Frame } from "./sse.ts";
import { latestUsage, writeWireUsage } from "./usage.ts";

/** Events without anything for the client, told by their first bytes so that they need not be parsed. */
const SILENT = /^\{"type":"(?:citation-start|citation-end|content-end|debug)"/;

interface Call {
  readonly index: number;
  hasArguments: boolean;
}

/**
 * Reads Cohere's typed events. `message-end` carries the finish reason and the usage; the body ends after it, or after
 * one more `[DONE]`. Every other event is needed, so each is read once, in `inspect`, and its chunks are kept for
 * `decode`.
 */
export class CohereStreamReader implements StreamReader {
  usage: Usage | null = null;
  error: UpstreamErrorInfo | null = null;
  outputBytes = 0;
  endsWithBody = false;
  readonly #chunks = new WeakMap<Frame, ChatChunk[]>();
  readonly #calls = new Map<Json | undefined, Call>();
  #base: Pick<ChatChunk, "id" | "object" | "created" | "model">;
  #opened = false;

  constructor({ model }: { model: string; request: CanonicalRequest }) {
    this.#base = { id: makeId("chatcmpl"), object: "chat.completion.chunk", created: createdNow(), model };
  }

  inspect(frame: Frame): FrameKind {
    if (this.endsWithBody) return frame.data === "[DONE]" ? "end" : "lifecycle";
    if (frame.data === "" || SILENT.test(frame.data)) return "lifecycle";
    let event: Json;
    try {
      event = JSON.parse(frame.data) as Json;
    } catch {
      return this.#fail({ message: "a frame is not JSON" });
    }
    if (!isObject(event)) return this.#fail({ message: "a frame is not an object" });
    return this.#read(frame, event);
  }

  decode(frame: Frame): ChatChunk[] {
    return this.#chunks.get(frame) ?? [];
  }

  #read(frame: Frame, event: JsonObject): FrameKind {
    const delta = isObject(event.delta) ? event.delta : {};
    const message = isObject(delta.message) ? delta.message : {};
    switch (event.type) {
      case "message-start":
        if (typeof event.id === "string") this.#base = { ...this.#base, id: event.id };
        this.#give(frame, { content: "" });
        return "lifecycle";
      case "content-start":
      case "content-delta":
        return this.#readContent(frame, message.content, event.logprobs);
      case "tool-plan-delta":
        return this.#readContent(frame, { thinking: message.tool_plan }, undefined);
      case "tool-call-start":
      case "tool-call-delta":
        return this.#readCall(frame, event, message.tool_calls);
      case "tool-call-end":
        return this.#endCall(frame, event);
      case "message-end":
        return this.#end(frame, delta);
      default:
        if (event.type === "error" || (event.type === undefined && typeof event.message === "string")) {
          return this.#fail(readCohereError(event));
        }
        return "lifecycle";
    }
  }

  #readContent(frame: Frame, content: Json | undefined, item: Json | undefined): FrameKind {
    const text = isObject(content) && typeof content.text === "string" ? content.text : "";
    const thinking = isObject(content) && typeof content.thinking === "string" ? content.thinking : "";
    if (text === "" && thinking === "") return "lifecycle";
    this.outputBytes += Buffer.byteLength(text) + Buffer.byteLength(thinking);
    const logprobs = isObject(item) ? readLogprobs([item]) : undefined;
    this.#give(
      frame,
      { ...(thinking !== "" && { reasoning_content: thinking }), ...(text !== "" && { content: text }) },
      logprobs && { logprobs },
    );
    return "content";
  }

  #readCall(frame: Frame, event: JsonObject, stated: Json | undefined): FrameKind {
    const piece = isObject(stated) ? stated : {};
    const named = isObject(piece.function) ? piece.function : {};
    const text = typeof named.arguments === "string" ? named.arguments : "";
    this.outputBytes += Buffer.byteLength(text);
    if (event.type === "tool-call-start") {
      if (typeof named.name !== "string") return this.#fail({ message: "a tool call without a name" });
      const call = { index: this.#calls.size, hasArguments: text !== "" };
      this.#calls.set(event.index, call);
      return this.#giveCall(frame, {
        index: call.index,
        id: callId(piece.id),
        type: "function",
        function: { name: named.name, arguments: text },
      });
    }
    const call = this.#calls.get(event.index);
    if (!call || text === "") return "lifecycle";
    call.hasArguments = true;
    return this.#giveCall(frame, { index: call.index, function: { arguments: text } });
  }

  /** A call without arguments has no piece of them at all; its JSON is the empty object. */
  #endCall(frame: Frame, event: JsonObject): FrameKind {
    const call = this.#calls.get(event.index);
    if (!call || call.hasArguments) return "lifecycle";
    call.hasArguments = true;
    return this.#giveCall(frame, { index: call.index, function: { arguments: "{}" } });
  }

  #end(frame: Frame, delta: JsonObject): FrameKind {
    this.usage = latestUsage(this.usage, readCohereUsage("chat", delta));
    const reason = finishReason(delta.finish_reason);
    if (!reason) {
      const said = typeof delta.error === "string" ? delta.error : `the answer ended with ${String(delta.finish_reason)}`;
      return this.#fail({ message: said });
    }
    this.endsWithBody = true;
    const chunks: ChatChunk[] = [{ ...this.#base, choices: [{ index: 0, delta: {}, finish_reason: reason }] }];
    if (this.usage) chunks.push({ ...this.#base, choices: [], usage: writeWireUsage(this.usage) });
    this.#chunks.set(frame, chunks);
    return "content";
  }

  #giveCall(frame: Frame, call: ToolCallDelta): FrameKind {
    this.#give(frame, { tool_calls: [call] });
    return "content";
  }

  #give(frame: Frame, delta: ChunkChoice["delta"], further?: Pick<ChunkChoice, "logprobs">): void {
    const role = this.#opened ? undefined : ({ role: "assistant" } as const);
    this.#opened = true;
    this.#chunks.set(frame, [{ ...this.#base, choices: [{ index: 0, delta: { ...role, ...delta }, ...further, finish_reason: null }] }]);
  }

  #fail(error: UpstreamErrorInfo): "error" {
    this.error = error;
    return "error";
  }
}
