import type { ChatChunk } from "../dialects/canonical.ts";
import type { JsonReply, StreamReply } from "../exchange.ts";
import { type Answer, fullAnswer } from "./answers.ts";
import { openaiChunks, openaiReply } from "./answers-openai.ts";

/** A committed whole answer, canonical. */
export function jsonReply(answer: Answer = {}): JsonReply {
  return { kind: "json", body: openaiReply(fullAnswer(answer)) };
}

/** A committed stream, canonical; `error` breaks it off after its content. */
export function streamReply(answer: Answer = {}, error?: Error): StreamReply {
  const chunks = openaiChunks(fullAnswer(answer));
  return { kind: "stream", stream: error ? broken(chunks.slice(0, -2), error) : whole(chunks) };
}

async function* whole(chunks: readonly ChatChunk[]): AsyncGenerator<ChatChunk> {
  yield* chunks;
}

async function* broken(chunks: readonly ChatChunk[], error: Error): AsyncGenerator<ChatChunk> {
  yield* chunks;
  throw error;
}
