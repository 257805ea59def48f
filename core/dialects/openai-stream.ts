import type { ChatChunk, ChunkChoice, Json, JsonObject, ToolCallDelta, Usage } from "./canonical.ts";
import { isArray, isObject } from "./checks.ts";
import type { FrameKind, StreamReader, UpstreamErrorInfo } from "./dialect.ts";
import { createdNow, makeId } from "./ids.ts";
import { parseObject, stringBytes } from "./json-text.ts";
import { finishReason, readErrorBody, ToolCallTracker, text, withText } from "./openai-reply.ts";
import type { Frame } from "./sse.ts";
import { latestUsage, readWireUsage, tidyWireUsage } from "./usage.ts";

const DONE = "[DONE]";
const ANSWER = /"(?:content|reasoning_content|reasoning|arguments|refusal|text)":"/g;
/** A key or value `error`, or `usage` with anything but null: to be parsed. */
const SUSPECT = /"(?:error"|usage"(?!:null))/;

/**
 * Reads a chat stream of an OpenAI-shaped provider. Frames are parsed until the first content; after it only those that may
 * hold usage or an error, and the others are searched for what a cut stream's estimate needs. Where the search does not
 * find what parsing found (another spacing or other fields), every frame is parsed.
 */
export class OpenAiStreamReader implements StreamReader {
  readonly endsWithBody = false;
  usage: Usage | null = null;
  error: UpstreamErrorInfo | null = null;
  outputBytes = 0;
  /** Whether searching a frame tells its answer's bytes; undecided until the first that has some. */
  #searchable: boolean | undefined;
  #parsed: { readonly frame: Frame; readonly body: JsonObject | null } | undefined;
  readonly #tools = new ToolCallTracker();
  #id = "";
  #model = "";
  #created = 0;
  readonly #fallbackModel: string;

  constructor(model: string) {
    this.#fallbackModel = model;
  }

  inspect(frame: Frame): FrameKind {
    const { data } = frame;
    if (data === DONE) return "end";
    if (data === "" && frame.event !== "error") return "lifecycle";
    if (this.#searchable && frame.event === "" && isPlain(data)) {
      this.outputBytes += stringBytes(data, ANSWER);
      return "content";
    }
    const body = this.#body(frame);
    if (body === null || frame.event === "error" || isFailure(body)) {
      this.error = body === null ? { message: "The provider sent an event that is not a JSON object." } : readErrorBody(body);
      return "error";
    }
    const usage = statedUsage(body);
    this.usage = latestUsage(this.usage, readWireUsage(usage));
    const choices = choicesOf(body);
    if (choices.length === 0) return isObject(usage) ? "usage" : "lifecycle";
    const bytes = choices.reduce((sum, choice) => sum + answerBytes(choice), 0);
    this.outputBytes += bytes;
    if (bytes > 0) this.#searchable ??= stringBytes(data, ANSWER) === bytes;
    return choices.some(saysSomething) ? "content" : "lifecycle";
  }

  decode(frame: Frame): ChatChunk[] {
    const body = frame.data === DONE ? null : this.#body(frame);
    if (body === null) return [];
    const { usage: _, x_groq: __, ...rest } = body;
    const usage = tidyWireUsage(statedUsage(body));
    const choices = choicesOf(body);
    if (choices.length === 0 && !usage) return [];
    this.#id ||= text(body.id) || makeId("chatcmpl");
    this.#model ||= text(body.model) || this.#fallbackModel;
    this.#created ||= Number.isInteger(body.created) ? Number(body.created) : createdNow();
    return [
      {
        ...rest,
        id: this.#id,
        object: "chat.completion.chunk",
        created: this.#created,
        model: this.#model,
        choices: choices.map((choice) => this.#choice(choice)),
        ...(usage && { usage }),
      },
    ];
  }

  #choice(choice: JsonObject): ChunkChoice {
    const index = Number.isInteger(choice.index) ? Number(choice.index) : 0;
    const { tool_calls: calls, ...rest } = deltaOf(choice);
    const toolCalls: ToolCallDelta[] = isArray(calls) ? calls.flatMap((call) => this.#tools.read(index, call)) : [];
    return {
      ...choice,
      index,
      delta: { ...withText(rest), ...(toolCalls.length > 0 && { tool_calls: toolCalls }) } as ChunkChoice["delta"],
      finish_reason: finishReason(choice.finish_reason),
    };
  }

  #body(frame: Frame): JsonObject | null {
    if (this.#parsed?.frame !== frame) this.#parsed = { frame, body: parseObject(frame.data) };
    return this.#parsed.body;
  }
}

/** Whether a frame is an object that states neither an error nor usage. */
function isPlain(data: string): boolean {
  return data.startsWith("{") && data.endsWith("}") && !SUSPECT.test(data);
}

/** `{ error }`, or the flat form of vLLM and Mistral. */
function isFailure(body: JsonObject): boolean {
  return Boolean(body.error) || body.object === "error" || body.type === "error";
}

function statedUsage(body: JsonObject): Json | undefined {
  return body.usage ?? (isObject(body.x_groq) ? body.x_groq.usage : undefined);
}

function choicesOf(body: JsonObject): readonly JsonObject[] {
  return isArray(body.choices) ? body.choices.filter(isObject) : [];
}

function deltaOf(choice: JsonObject): JsonObject {
  return isObject(choice.delta) ? choice.delta : {};
}

function saysSomething(choice: JsonObject): boolean {
  if (typeof choice.finish_reason === "string") return true;
  return Object.entries(deltaOf(choice)).some(([name, value]) => name !== "role" && typeof value !== "number" && !isEmpty(value));
}

function isEmpty(value: Json | undefined): boolean {
  return value === null || value === undefined || value === "" || value === false || (isArray(value) && value.length === 0);
}

function answerBytes(choice: JsonObject): number {
  const { content, reasoning_content: reasoning, refusal, tool_calls: calls } = withText(deltaOf(choice));
  let bytes = byteLength(content) + byteLength(reasoning) + byteLength(refusal);
  for (const call of isArray(calls) ? calls : []) {
    if (isObject(call) && isObject(call.function)) bytes += byteLength(call.function.arguments);
  }
  return bytes;
}

function byteLength(value: Json | undefined): number {
  return typeof value === "string" ? Buffer.byteLength(value) : 0;
}
