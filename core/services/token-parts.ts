import type { ChatRequest, ContentPart, Message } from "../dialects/canonical.ts";

/** What of a chat request is tokens. */
interface RequestParts {
  /** To be encoded, each on its own. */
  readonly texts: readonly string[];
  /** Tokens that stand for no text: the format's own, and flat figures for what is not text. */
  readonly fixed: number;
  /** True when `fixed`, or the text standing in for a part, is not exact. */
  readonly estimated: boolean;
}

/**
 * OpenAI's chat format (their cookbook, "How to count tokens with tiktoken"): 3 tokens frame each message, 1 more a name,
 * and 3 begin the answer. A role is itself one token.
 */
const FRAME = 3;
const ROLE = 1;
const NAME = 1;
const ANSWER = 3;

/**
 * An image's own size is not looked at. Low detail costs 85 tokens on OpenAI's tile models; otherwise 85 + 170 for each
 * tile of 512 pixels, here six: what a wide photo comes to (one tile at least, eight at most), and near Anthropic's mean.
 */
const LOW_DETAIL_IMAGE = 85;
const IMAGE = 85 + 6 * 170;
/** Files and sound: nothing better is known without opening them. */
const ATTACHMENT = IMAGE;

export function requestParts(request: ChatRequest): RequestParts {
  const parts = new Collector();
  for (const message of request.messages) parts.message(message);
  for (const { function: definition } of request.tools ?? []) parts.json(definition);
  if (request.response_format?.type === "json_schema") parts.json(request.response_format.json_schema);
  return { texts: parts.texts, fixed: parts.fixed + ANSWER, estimated: parts.estimated };
}

class Collector {
  readonly texts: string[] = [];
  fixed = 0;
  estimated = false;

  message(message: Message): void {
    this.fixed += FRAME + ROLE;
    if (typeof message.content === "string") this.#text(message.content);
    else for (const part of message.content ?? []) this.#part(part);
    if ("name" in message && message.name) {
      this.fixed += NAME;
      this.#text(message.name);
    }
    if (message.role === "assistant") {
      this.#text(message.refusal);
      if (message.reasoning_details)
        for (const detail of message.reasoning_details) this.#text("thinking" in detail ? detail.thinking : detail.data);
      else this.#text(message.reasoning_content);
      for (const call of message.tool_calls ?? []) {
        this.fixed += FRAME;
        // Calls of other kinds than functions pass through as they came, whatever the type says.
        if (!call.function) this.json(call);
        else for (const text of [call.function.name, call.function.arguments]) this.#text(text);
      }
    }
  }

  /** Providers render definitions and schemas in forms of their own; their JSON is near, and rather longer. */
  json(value: object): void {
    this.#text(JSON.stringify(value));
    this.estimated = true;
  }

  #part(part: ContentPart): void {
    if (part.type === "text") this.#text(part.text);
    else if (part.type === "refusal") this.#text(typeof part.refusal === "string" ? part.refusal : null);
    else if (part.type === "image_url") this.#flat(part.image_url.detail === "low" ? LOW_DETAIL_IMAGE : IMAGE);
    else this.#flat(ATTACHMENT);
    if (part.type === "foreign") this.json(withoutBytes(part.value));
  }

  #flat(tokens: number): void {
    this.fixed += tokens;
    this.estimated = true;
  }

  #text(text: string | null | undefined): void {
    if (text) this.texts.push(text);
  }
}

/** Anthropic, Gemini and Bedrock all carry base64 under `data`, which the flat figure stands for; Anthropic also plain text. */
function withoutBytes(value: object): object {
  const text = JSON.stringify(value, function (this: { media_type?: unknown }, key: string, inner: unknown) {
    return key === "data" && this.media_type !== "text/plain" ? undefined : inner;
  });
  return JSON.parse(text);
}
