import { expect } from "vitest";
import { z } from "zod";

/**
 * Anthropic's answers by the types of `@anthropic-ai/sdk` (`resources/messages/messages.d.ts`), as far as the gateway
 * writes them itself. Fields that those types have as `… | null` may be absent: the recorded answers of the API leave them out too.
 * Anything else is refused, so that no invented field passes.
 */
const count = z.int().min(0);

const UsageDetails = z.strictObject({ thinking_tokens: count }).nullish();
const Usage = z.strictObject({
  input_tokens: count,
  output_tokens: count,
  cache_creation_input_tokens: count.nullish(),
  cache_read_input_tokens: count.nullish(),
  output_tokens_details: UsageDetails,
});

const StopReason = z.enum([
  "end_turn",
  "max_tokens",
  "stop_sequence",
  "tool_use",
  "pause_turn",
  "refusal",
  "model_context_window_exceeded",
]);

const ContentBlock = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  z.strictObject({ type: z.literal("thinking"), thinking: z.string(), signature: z.string() }),
  z.strictObject({ type: z.literal("redacted_thinking"), data: z.string() }),
  z.strictObject({ type: z.literal("tool_use"), id: z.string().min(1), name: z.string().min(1), input: z.record(z.string(), z.unknown()) }),
]);

const message = {
  id: z.string().min(1),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string().min(1),
  usage: Usage,
};

/** A whole answer. */
export const Message = z.strictObject({
  ...message,
  content: z.array(ContentBlock),
  stop_reason: StopReason,
  stop_sequence: z.string().nullable(),
});

export const ErrorBody = z.strictObject({
  type: z.literal("error"),
  // `ErrorType` of `resources/shared.d.ts`, and what the API's documentation has besides.
  error: z.strictObject({
    type: z.enum([
      "invalid_request_error",
      "authentication_error",
      "permission_error",
      "not_found_error",
      "request_too_large",
      "rate_limit_error",
      "timeout_error",
      "api_error",
      "overloaded_error",
    ]),
    message: z.string().min(1),
  }),
  request_id: z.string().min(1),
});

export const TokenCount = z.strictObject({ input_tokens: count });

const index = count;
const StreamEvent = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("message_start"),
    message: z.strictObject({ ...message, content: z.tuple([]), stop_reason: z.null(), stop_sequence: z.null() }),
  }),
  z.strictObject({ type: z.literal("content_block_start"), index, content_block: ContentBlock }),
  z.strictObject({
    type: z.literal("content_block_delta"),
    index,
    delta: z.discriminatedUnion("type", [
      z.strictObject({ type: z.literal("text_delta"), text: z.string() }),
      z.strictObject({ type: z.literal("thinking_delta"), thinking: z.string() }),
      z.strictObject({ type: z.literal("signature_delta"), signature: z.string() }),
      z.strictObject({ type: z.literal("input_json_delta"), partial_json: z.string() }),
    ]),
  }),
  z.strictObject({ type: z.literal("content_block_stop"), index }),
  z.strictObject({
    type: z.literal("message_delta"),
    delta: z.strictObject({ stop_reason: StopReason, stop_sequence: z.string().nullable() }),
    usage: Usage,
  }),
  z.strictObject({ type: z.literal("message_stop") }),
]);

const DELTAS: Record<string, readonly string[]> = {
  text: ["text_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  redacted_thinking: [],
  tool_use: ["input_json_delta"],
};

/** Fails unless the body fits, naming what does not. */
export function expectAnthropic(schema: z.ZodType, body: unknown): void {
  const { error } = schema.safeParse(body);
  expect(error && z.prettifyError(error), JSON.stringify(body)).toBeUndefined();
}

/** A whole stream: each event as it should be and named by its `event:` line, all of them in Anthropic's order. */
export function expectAnthropicStream(text: string): void {
  const frames = text.split("\n\n");
  expect(frames.pop()).toBe("");
  const events = frames.map((frame) => {
    const [, name, data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(frame) ?? [];
    const event = JSON.parse(data) as z.output<typeof StreamEvent>;
    expectAnthropic(StreamEvent, event);
    expect(event.type).toBe(name);
    return event;
  });
  expect(events.shift()?.type).toBe("message_start");
  expect(events.splice(-2).map(({ type }) => type)).toEqual(["message_delta", "message_stop"]);
  let next = 0;
  let open: readonly string[] | undefined;
  for (const event of events) {
    expect(event).toMatchObject({ index: next });
    if (event.type === "content_block_start") {
      expect(open).toBeUndefined();
      open = DELTAS[event.content_block.type];
    } else if (event.type === "content_block_delta") {
      expect(open).toContain(event.delta.type);
    } else {
      expect(event.type).toBe("content_block_stop");
      expect(open).toBeDefined();
      open = undefined;
      next += 1;
    }
  }
  expect(open).toBeUndefined();
}
