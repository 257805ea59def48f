import type { ChatChunk, ChatReply, ChatRequest, ChunkChoice, JsonObject, WireUsage } from "./canonical.ts";
import type { StreamWriter } from "./dialect.ts";

/** A whole answer as OpenAI writes it: `refusal` and `logprobs` always there, `stop_sequence` never. */
export function writeChatReply(reply: ChatReply): JsonObject {
  return {
    ...reply,
    choices: reply.choices.map(({ stop_sequence: _, ...choice }) => ({
      ...choice,
      message: { refusal: null, ...choice.message },
      logprobs: choice.logprobs ?? null,
    })),
  } as unknown as JsonObject;
}

/** Writes a stream as OpenAI does: a first delta with the role, usage in a last chunk of its own if asked for, `[DONE]`. */
export class OpenAiStreamWriter implements StreamWriter {
  readonly #wantsUsage: boolean;
  /** Choices that have had their role. */
  readonly #begun = new Set<number>();
  #last: ChatChunk | undefined;
  #usage: WireUsage | undefined;

  constructor(request: ChatRequest) {
    this.#wantsUsage = request.stream_options?.include_usage === true;
  }

  write(chunk: ChatChunk): string {
    this.#last = chunk;
    this.#usage = chunk.usage ?? this.#usage;
    if (chunk.choices.length === 0) return "";
    return this.#event(
      chunk,
      chunk.choices.map((choice) => this.#choice(choice)),
    );
  }

  end(): string {
    const usage = this.#wantsUsage && this.#last && this.#usage ? this.#event(this.#last, [], this.#usage) : "";
    return `${usage}data: [DONE]\n\n`;
  }

  #event(chunk: ChatChunk, choices: ChunkChoice[], usage: WireUsage | null = null): string {
    const { usage: _, ...rest } = chunk;
    return `data: ${JSON.stringify({ ...rest, choices, ...(this.#wantsUsage && { usage }) })}\n\n`;
  }

  #choice({ stop_sequence: _, ...choice }: ChunkChoice): ChunkChoice {
    const first = !this.#begun.has(choice.index);
    this.#begun.add(choice.index);
    return {
      ...choice,
      delta: first ? { role: "assistant", content: "", ...choice.delta } : choice.delta,
      finish_reason: choice.finish_reason ?? null,
    };
  }
}
