import Anthropic from "@anthropic-ai/sdk";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anthropicMessages } from "./anthropic-messages.ts";
import type { ChatChunk, ChunkChoice } from "./canonical.ts";
import { SseFramer } from "./sse.ts";

const base = { id: "c", object: "chat.completion.chunk" as const, created: 1, model: "m" };
const request = { model: "m", messages: [] };
const delta = (each: ChunkChoice["delta"], more: Partial<ChunkChoice> = {}): ChatChunk => ({
  ...base,
  choices: [{ index: 0, delta: each, ...more }],
});
const call = (index: number, text: string, named: object = {}): ChatChunk =>
  delta({ tool_calls: [{ index, ...named, function: { arguments: text, ...("id" in named && { name: `f${index}` }) } }] });
const finish = (reason: ChunkChoice["finish_reason"]): ChatChunk => delta({}, { finish_reason: reason });
const usage: ChatChunk = {
  ...base,
  choices: [],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, prompt_tokens_details: { cached_tokens: 4 } },
};

function written(chunks: readonly ChatChunk[]): string {
  const writer = anthropicMessages.client?.streamWriter({ requestId: "r", request });
  return chunks.map((chunk) => writer?.write(chunk)).join("") + writer?.end();
}

interface Event {
  readonly type: string;
  readonly index?: number;
  readonly content_block?: { readonly type: string };
  readonly delta?: { readonly type?: string };
}

const events = (text: string) => new SseFramer().push(Buffer.from(text)).map(({ data }) => JSON.parse(data) as Event);

function assemble(text: string) {
  const fetch = async () => new Response(text, { headers: { "content-type": "text/event-stream" } });
  const sdk = new Anthropic({ apiKey: "k", maxRetries: 0, fetch });
  return sdk.messages.stream({ model: "m", max_tokens: 5, messages: [{ role: "user", content: "hi" }] }).finalMessage();
}

describe("a stream written for Anthropic's clients", () => {
  it("has Anthropic's events in Anthropic's order, each with its event line", () => {
    const text = written([
      delta({ role: "assistant", content: "" }),
      delta({ reasoning_content: "hm" }),
      delta({ content: "so" }),
      finish("stop"),
      usage,
    ]);
    expect(
      events(text).map(({ type, index, content_block, delta }) =>
        [type, index, content_block?.type ?? delta?.type].filter((each) => each !== undefined),
      ),
    ).toEqual([
      ["message_start"],
      ["content_block_start", 0, "thinking"],
      ["content_block_delta", 0, "thinking_delta"],
      ["content_block_stop", 0],
      ["content_block_start", 1, "text"],
      ["content_block_delta", 1, "text_delta"],
      ["content_block_stop", 1],
      ["message_delta"],
      ["message_stop"],
    ]);
    for (const { event, data } of new SseFramer().push(Buffer.from(text))) expect(event).toBe((JSON.parse(data) as Event).type);
  });

  it("is put together by the SDK", async () => {
    const message = await assemble(
      written([
        delta({ role: "assistant", content: "" }),
        delta({ reasoning_content: "h" }),
        delta({ reasoning_content: "m" }),
        delta({ reasoning_details: [{ type: "thinking", thinking: "hm", signature: "s" }] }),
        delta({ reasoning_details: [{ type: "redacted_thinking", data: "d" }] }),
        delta({ content: "so " }),
        delta({ content: "it is" }),
        call(0, "", { id: "t0" }),
        call(0, '{"a"'),
        call(0, ":1}"),
        call(1, "", { id: "t1" }),
        finish("tool_calls"),
        usage,
      ]),
    );
    expect(message).toMatchObject({
      content: [
        { type: "thinking", thinking: "hm", signature: "s" },
        { type: "redacted_thinking", data: "d" },
        { type: "text", text: "so it is" },
        { type: "tool_use", id: "t0", name: "f0", input: { a: 1 } },
        { type: "tool_use", id: "t1", name: "f1", input: {} },
      ],
      stop_reason: "tool_use",
      usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 5 },
    });
  });

  it("goes straight on to the next call when the one before is whole", () => {
    const writer = anthropicMessages.client?.streamWriter({ requestId: "r", request });
    writer?.write(call(0, '{"a":1}', { id: "t0" }));
    expect(writer?.write(call(1, '{"b', { id: "t1" }))).toContain('"partial_json":"{\\"b"');
    expect(writer?.write(call(1, '":2}'))).toContain('"partial_json":"\\":2}"');
  });

  it("says a whole thought once, though it comes twice in one chunk", async () => {
    const details = [
      { type: "thinking" as const, thinking: "a", signature: "s" },
      { type: "thinking" as const, thinking: "b" },
    ];
    const { content } = await assemble(written([delta({ reasoning_content: "ab", reasoning_details: details }), finish("stop")]));
    expect(content).toEqual([
      { type: "thinking", thinking: "a", signature: "s" },
      { type: "thinking", thinking: "b", signature: "" },
    ]);
  });

  it("is whole for an empty answer", async () => {
    expect(await assemble(written([]))).toMatchObject({ content: [], stop_reason: "end_turn" });
    expect(await assemble(written([delta({}, { finish_reason: "stop", stop_sequence: "END" })]))).toMatchObject({
      stop_reason: "stop_sequence",
      stop_sequence: "END",
    });
  });

  it("does not buffer interleaved calls without bound, or lose what comes too late", () => {
    const refused = expect.objectContaining({ code: "upstream_invalid" });
    const long = "x".repeat(300_000);
    expect(() => written([call(0, "{", { id: "a" }), call(1, long, { id: "b" }), call(1, long), call(1, long), call(1, long)])).toThrow(
      refused,
    );
    expect(() => written([call(0, "{}", { id: "a" }), delta({ content: "so" }), call(0, "{}")])).toThrow(refused);
  });

  it("reads back as it was, however the calls were interleaved", () => {
    const args = fc
      .dictionary(fc.string({ maxLength: 4 }), fc.string({ maxLength: 6 }), { maxKeys: 3 })
      .map((each) => JSON.stringify(each));
    const order = fc.array(fc.nat(3), { maxLength: 60 });
    fc.assert(
      fc.property(fc.array(args, { minLength: 1, maxLength: 4 }), order, fc.string({ maxLength: 5 }), (calls, turns, said) => {
        const rest = calls.map((text) => [...text]);
        const pieces = [...turns, ...calls.flatMap((text, index) => [...text].map(() => index))]
          .filter((index) => index < calls.length)
          .flatMap((index) => {
            const text = rest[index]?.shift();
            return text === undefined ? [] : [call(index, text)];
          });
        const chunks = [
          delta({ content: said }),
          ...calls.map((_, index) => call(index, "", { id: `t${index}` })),
          ...pieces,
          finish("tool_calls"),
          usage,
        ];
        const reader = anthropicMessages.upstream?.streamReader({ model: "m", request });
        const read = new SseFramer().push(Buffer.from(written(chunks))).flatMap((frame) => {
          reader?.inspect(frame);
          return reader?.decode(frame) ?? [];
        });
        const deltas = read.flatMap(({ choices }) => choices.map((choice) => choice.delta));
        expect(deltas.map(({ content }) => content ?? "").join("")).toBe(said);
        const got = calls.map(() => "");
        for (const each of deltas.flatMap(({ tool_calls: some }) => some ?? [])) got[each.index] += each.function?.arguments ?? "";
        expect(got).toEqual(calls);
        expect(reader?.usage).toMatchObject({ inputTokens: 10, cachedTokens: 4, outputTokens: 5 });
      }),
    );
  });
});
