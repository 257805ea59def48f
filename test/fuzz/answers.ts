import { createParser } from "eventsource-parser";
import { expect } from "vitest";
import { z } from "zod";
import { type Answered, expectError, shapeOf } from "../support/error-body.ts";
import type { FuzzedRequest } from "./requests.ts";

const count = z.int().min(0);
const usage = z.looseObject({ prompt_tokens: count, completion_tokens: count, total_tokens: count });
const finish = z.enum(["stop", "length", "tool_calls", "content_filter", "function_call"]);
const call = z.looseObject({
  id: z.string().min(1),
  type: z.literal("function"),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});

const completion = z.looseObject({
  id: z.string().min(1),
  object: z.literal("chat.completion"),
  created: count,
  model: z.string(),
  choices: z
    .array(
      z.looseObject({
        index: count,
        message: z.looseObject({
          role: z.literal("assistant"),
          content: z.string().nullable(),
          tool_calls: z.array(call).min(1).optional(),
        }),
        finish_reason: finish,
      }),
    )
    .min(1),
  usage: usage.optional(),
});
const chunk = z.looseObject({
  id: z.string().min(1),
  object: z.literal("chat.completion.chunk"),
  created: count,
  model: z.string(),
  choices: z.array(z.looseObject({ index: count, delta: z.looseObject({}), finish_reason: finish.nullable().optional() })),
  usage: usage.nullable().optional(),
});
const embeddings = z.looseObject({
  object: z.literal("list"),
  data: z
    .array(z.looseObject({ object: z.literal("embedding"), index: count, embedding: z.union([z.array(z.number()), z.string()]) }))
    .min(1),
  model: z.string(),
  usage: z.looseObject({ prompt_tokens: count, total_tokens: count }),
});
const block = z.union([
  z.looseObject({ type: z.literal("text"), text: z.string() }),
  z.looseObject({ type: z.literal("thinking"), thinking: z.string() }),
  z.looseObject({ type: z.literal("tool_use"), id: z.string().min(1), name: z.string(), input: z.looseObject({}) }),
]);
const anthropicUsage = z.looseObject({ input_tokens: count, output_tokens: count });
const message = z.looseObject({
  id: z.string().min(1),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string(),
  content: z.array(block),
  stop_reason: z.string(),
  stop_sequence: z.string().nullable(),
  usage: anthropicUsage,
});
const counted = z.looseObject({ input_tokens: count });

const WHOLE: Readonly<Record<string, z.ZodType>> = {
  "/v1/chat/completions": completion,
  "/v1/embeddings": embeddings,
  "/v1/messages": message,
  "/v1/messages/count_tokens": counted,
};

/** Checks that an answer is one that its client can read: the whole of what the dialect promises, or an error in its shape. */
export function expectAnswer({ path, body }: FuzzedRequest, answer: Answered): void {
  if (answer.status !== 200) {
    expect(answer.status, answer.body).toBeLessThan(500);
    expectError(answer, shapeOf(path), unquoted(body));
    return;
  }
  if (answer.headers["content-type"] === "application/json") WHOLE[path]?.parse(JSON.parse(answer.body));
  else if (shapeOf(path) === "anthropic") expectAnthropicStream(answer);
  else expectOpenAiStream(answer);
}

/** The request's text, and what its strings say, either of which an error may quote. */
function unquoted(body: string): string {
  return `${body}\n${body.replaceAll("\\", "")}`;
}

function expectOpenAiStream(answer: Answered): void {
  const frames = readEvents(answer);
  expect(frames.at(-1)?.data).toBe("[DONE]");
  const chunks = frames.slice(0, -1).map(({ data }) => chunk.parse(JSON.parse(data)));
  const ends = chunks.flatMap(({ choices }) => choices).filter(({ finish_reason: reason }) => reason);
  expect(ends.length).toBeGreaterThan(0);
}

function expectAnthropicStream(answer: Answered): void {
  const events = readEvents(answer).map(({ event, data }) => {
    const value = z.looseObject({ type: z.string() }).parse(JSON.parse(data));
    expect(event).toBe(value.type);
    return value;
  });
  const order = events
    .map(({ type }) => type)
    .filter((type) => type !== "ping")
    .join(" ");
  expect(order).toMatch(/^message_start( content_block_start( content_block_delta)* content_block_stop)* message_delta message_stop$/);
}

function readEvents(answer: Answered): { event: string | undefined; data: string }[] {
  expect(answer.headers["content-type"]).toMatch(/^text\/event-stream/);
  const events: { event: string | undefined; data: string }[] = [];
  createParser({ onEvent: ({ event, data }) => void events.push({ event, data }) }).feed(answer.body);
  return events;
}
