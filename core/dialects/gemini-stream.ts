import { GatewayError } from "../errors.ts";
import type { ChatChunk, ChatRequest, ChunkChoice, Json, JsonObject, ToolCallDelta, Usage } from "./canonical.ts";
import { isArray, isObject } from "./checks.ts";
import type { CanonicalRequest, FrameKind, StreamReader, UpstreamErrorInfo } from "./dialect.ts";
import { PartialArguments } from "./gemini-args.ts";
import {
  finishReason,
  isPromptBlocked,
  partsOf,
  readGeminiError,
  readGeminiUsage,
  readLogprobs,
  toolCall,
  writeArguments,
} from "./gemini-reply.ts";
import { createdNow, makeId } from "./ids.ts";
import type { Frame } from "./sse.ts";
import { latestUsage, tokenCount, writeWireUsage } from "./usage.ts";

/** Most bytes of one function call's arguments that may be held until they are whole. */
const ARGUMENTS_LIMIT = 1024 * 1024;

/** A function call whose arguments are still coming (`willContinue`). */
interface PendingCall {
  readonly name: string;
  readonly id: Json | undefined;
  readonly signature: Json | undefined;
  readonly args: PartialArguments;
  bytes: number;
}

interface Candidate {
  /** Whether its first delta, with the role, has been given. */
  opened: boolean;
  calls: number;
  pending: PendingCall | undefined;
  finished: boolean;
}

/**
 * Reads Gemini's stream: frames that are whole responses, each with what is new, and no terminator. Every candidate
 * having its finish reason is what makes a stream whole. Frames are few and all of them needed, so each is read once, in
 * `inspect`, and its chunks are kept for `decode`.
 */
export class GeminiStreamReader implements StreamReader {
  usage: Usage | null = null;
  error: UpstreamErrorInfo | null = null;
  outputBytes = 0;
  readonly #model: string;
  readonly #expected: number;
  readonly #created = createdNow();
  readonly #candidates = new Map<number, Candidate>();
  readonly #chunks = new WeakMap<Frame, ChatChunk[]>();
  #base: Pick<ChatChunk, "id" | "object" | "created" | "model"> | undefined;

  constructor({ model, request }: { model: string; request: CanonicalRequest }) {
    this.#model = model;
    this.#expected = (request as ChatRequest).n ?? 1;
  }

  get endsWithBody(): boolean {
    const candidates = [...this.#candidates.values()];
    return candidates.length >= this.#expected && candidates.every(({ finished }) => finished);
  }

  inspect(frame: Frame): FrameKind {
    if (frame.data === "") return "lifecycle";
    try {
      return this.#read(frame, JSON.parse(frame.data) as Json);
    } catch (error) {
      return this.#fail({ message: error instanceof GatewayError ? String(error.cause) : "a frame is not JSON" });
    }
  }

  decode(frame: Frame): ChatChunk[] {
    return this.#chunks.get(frame) ?? [];
  }

  #read(frame: Frame, body: Json): FrameKind {
    if (!isObject(body)) return this.#fail({ message: "a frame is not an object" });
    if (body.error !== undefined) return this.#fail(readGeminiError(body));
    const candidates = isArray(body.candidates) ? body.candidates.filter(isObject) : [];
    const choices: ChunkChoice[] = [];
    if (candidates.length === 0 && isPromptBlocked(body)) {
      this.#candidate(0).finished = true;
      choices.push({ index: 0, delta: { role: "assistant", content: null }, finish_reason: "content_filter" });
    }
    for (const candidate of candidates) {
      const failure = this.#readCandidate(candidate, choices);
      if (failure !== undefined) return this.#fail({ message: `the answer ended with ${failure}` });
    }
    const stated = this.#readUsage(body);
    this.#base ??= {
      id: typeof body.responseId === "string" ? body.responseId : makeId("chatcmpl"),
      object: "chat.completion.chunk",
      created: this.#created,
      model: typeof body.modelVersion === "string" ? body.modelVersion : this.#model,
    };
    const chunks: ChatChunk[] = choices.map((choice) => ({ ...this.#base, choices: [choice] }) as ChatChunk);
    if (stated && this.usage && this.endsWithBody) chunks.push({ ...this.#base, choices: [], usage: writeWireUsage(this.usage) });
    this.#chunks.set(frame, chunks);
    if (choices.length > 0) return "content";
    return stated ? "usage" : "lifecycle";
  }

  /** A frame before the last may give the prompt's count alone, which says nothing of what the answer cost so far. */
  #readUsage(body: JsonObject): boolean {
    const { usageMetadata } = body;
    if (!isObject(usageMetadata)) return false;
    const partial = usageMetadata.candidatesTokenCount === undefined && usageMetadata.thoughtsTokenCount === undefined;
    const usage = partial && !this.endsWithBody ? null : readGeminiUsage("chat", body);
    this.usage = latestUsage(this.usage, usage);
    return usage !== null;
  }

  /** Adds what is new to `choices`; answers the reason when the candidate failed. */
  #readCandidate(candidate: JsonObject, choices: ChunkChoice[]): string | undefined {
    const index = Math.min(tokenCount(candidate.index) ?? 0, 127);
    const state = this.#candidate(index);
    if (state.finished) return undefined;
    let content = "";
    let thoughts = "";
    const calls: ToolCallDelta[] = [];
    for (const part of partsOf(candidate)) {
      if (isObject(part.functionCall)) calls.push(...this.#readCall(state, part.functionCall, part.thoughtSignature));
      else if (typeof part.text !== "string") continue;
      else if (part.thought === true) thoughts += part.text;
      else content += part.text;
    }
    const { finishReason: reason } = candidate;
    const ended = typeof reason === "string";
    if (ended) calls.push(...this.#endCall(state));
    this.outputBytes += Buffer.byteLength(content) + Buffer.byteLength(thoughts);
    const logprobs = readLogprobs(candidate.logprobsResult);
    if (content !== "" || thoughts !== "" || calls.length > 0) {
      choices.push({
        index,
        delta: {
          ...(!state.opened && { role: "assistant" }),
          ...(thoughts !== "" && { reasoning_content: thoughts }),
          ...(content !== "" && { content }),
          ...(calls.length > 0 && { tool_calls: calls }),
        },
        ...(logprobs && { logprobs }),
        finish_reason: null,
      });
      state.opened = true;
    }
    if (!ended) return undefined;
    const finish = finishReason(reason, state.calls > 0);
    if (!finish) return reason;
    state.finished = true;
    choices.push({ index, delta: {}, finish_reason: finish });
    return undefined;
  }

  /** A call comes whole, or begins with its name and goes on in nameless pieces. */
  #readCall(state: Candidate, call: JsonObject, signature: Json | undefined): ToolCallDelta[] {
    const ready: ToolCallDelta[] = [];
    if (typeof call.name === "string" && call.name !== "") {
      ready.push(...this.#endCall(state));
      if (call.willContinue !== true && call.partialArgs === undefined) {
        return [...ready, this.#emit(state, call.name, call.id, writeArguments(call.args), signature)];
      }
      state.pending = { name: call.name, id: call.id, signature, args: new PartialArguments(), bytes: 0 };
    }
    const { pending } = state;
    if (!pending) return ready;
    for (const piece of isArray(call.partialArgs) ? call.partialArgs : []) {
      pending.bytes += JSON.stringify(piece).length;
      if (pending.bytes > ARGUMENTS_LIMIT) throw new GatewayError("upstream_invalid", { cause: new Error("a function call is too long") });
      pending.args.add(piece);
    }
    return call.willContinue === true ? ready : [...ready, ...this.#endCall(state)];
  }

  #endCall(state: Candidate): ToolCallDelta[] {
    const { pending } = state;
    if (!pending) return [];
    state.pending = undefined;
    return [this.#emit(state, pending.name, pending.id, pending.args.text(), pending.signature)];
  }

  #emit(state: Candidate, name: string, id: Json | undefined, text: string, signature: Json | undefined): ToolCallDelta {
    this.outputBytes += Buffer.byteLength(text);
    state.calls += 1;
    return { index: state.calls - 1, ...toolCall(name, id, text, signature) };
  }

  #candidate(index: number): Candidate {
    let state = this.#candidates.get(index);
    if (!state) {
      state = { opened: false, calls: 0, pending: undefined, finished: false };
      this.#candidates.set(index, state);
    }
    return state;
  }

  #fail(error: UpstreamErrorInfo): "error" {
    this.error = error;
    return "error";
  }
}
