import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assemble, differingSplits, readStream } from "../../test/support/read-stream.ts";
import { hasRecordings, recordedEvents } from "../../test/support/recordings.ts";
import type { JsonObject } from "./canonical.ts";
import { cohere } from "./cohere.ts";
import { CohereStreamReader } from "./cohere-stream.ts";

function frame(event: JsonObject): Buffer {
  return Buffer.from(`event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`);
}

const start = frame({ id: "m1", type: "message-start", delta: { message: { role: "assistant", content: [] } } });
const content = (piece: JsonObject, more: JsonObject = {}) =>
  frame({ type: "content-delta", index: 0, delta: { message: { content: piece } }, ...more });
const end = (finish_reason: string, more: JsonObject = {}) => frame({ type: "message-end", delta: { finish_reason, ...more } });
const usage = { billed_units: { input_tokens: 3, output_tokens: 2 } };
const done = Buffer.from("data: [DONE]\n\n");

describe("a stream of Cohere", () => {
  it("is whole once the message has ended, with or without [DONE]", () => {
    const all = [start, content({ text: "a" }), end("COMPLETE", { usage })];
    expect(readStream(cohere, all.slice(0, 2)).whole).toBe(false);
    expect(readStream(cohere, [start, content({ text: "a" }), done]).whole).toBe(false);
    expect(readStream(cohere, all)).toMatchObject({ whole: true, kinds: ["lifecycle", "content", "content"] });
    expect(readStream(cohere, [...all, done])).toMatchObject({ whole: true, kinds: ["lifecycle", "content", "content", "end"] });
  });

  it("has its message's id, the role once, and finish and usage last", () => {
    const { chunks, usage: stated } = readStream(cohere, [
      start,
      content({ text: "a" }),
      content({ text: "b" }),
      end("MAX_TOKENS", { usage }),
    ]);
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([
      { role: "assistant", content: "" },
      { content: "a" },
      { content: "b" },
      {},
      undefined,
    ]);
    expect(chunks.every(({ id, model }) => id === "m1" && model === "asked-for")).toBe(true);
    expect(chunks[3]?.choices[0]?.finish_reason).toBe("length");
    expect(chunks[4]).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } });
    expect(stated).toMatchObject({ inputTokens: 3, outputTokens: 2 });
  });

  it("shows plan and thinking as reasoning, and counts bytes", () => {
    const plan = frame({ type: "tool-plan-delta", delta: { message: { tool_plan: "I will " } } });
    const { chunks, reader } = readStream(cohere, [plan, content({ thinking: "think" }), content({ text: "é" })]);
    expect(assemble(chunks)).toMatchObject({ reasoning: "I will think", text: "é" });
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(reader.outputBytes).toBe(14);
  });

  it("passes log probabilities on", () => {
    const { chunks } = readStream(cohere, [content({ text: "a" }, { logprobs: { text: "a", token_ids: [1], logprobs: [-1] } })]);
    expect(chunks[0]?.choices[0]?.logprobs).toEqual({
      content: [{ token: "a", logprob: -1, bytes: [97], top_logprobs: [] }],
      refusal: null,
    });
  });

  it("leaves citations out", () => {
    const cited = frame({ type: "citation-start", index: 0, delta: { message: { citations: { start: 0, end: 1, text: "a" } } } });
    expect(readStream(cohere, [cited, frame({ type: "citation-end", index: 0 })])).toMatchObject({
      kinds: ["lifecycle", "lifecycle"],
      chunks: [],
    });
  });

  it.each([
    ["a failed message", end("ERROR", { error: "out of luck" }), "out of luck"],
    ["a failed message without a reason", end("TIMEOUT"), "the answer ended with TIMEOUT"],
    ["a bare error", Buffer.from('data: {"message":"no more"}\n\n'), "no more"],
    ["no JSON", Buffer.from("data: <html>\n\n"), "a frame is not JSON"],
    ["a call without a name", frame({ type: "tool-call-start", index: 0, delta: {} }), "a tool call without a name"],
  ])("that brings %s is broken there", (_, bytes, message) => {
    const { kinds, whole, reader } = readStream(cohere, [content({ text: "a" }), bytes]);
    expect([kinds, whole, reader.error]).toEqual([["content", "error"], false, { message }]);
  });

  it("ignores nonsense in its usage", () => {
    for (const billed_units of [{ input_tokens: -1, output_tokens: 2 }, { input_tokens: 1e12, output_tokens: 2 }, "x", null]) {
      const { whole, usage: stated } = readStream(cohere, [content({ text: "a" }), end("COMPLETE", { usage: { billed_units } })]);
      expect([whole, stated]).toEqual([true, null]);
    }
  });

  it("never makes the reader throw", () => {
    const types = [
      "message-start",
      "content-start",
      "content-delta",
      "tool-plan-delta",
      "tool-call-start",
      "tool-call-delta",
      "tool-call-end",
      "message-end",
    ];
    const message = fc.record({ content: fc.jsonValue(), tool_plan: fc.jsonValue(), tool_calls: fc.jsonValue() });
    const event = fc.record({
      type: fc.constantFrom(...types),
      index: fc.jsonValue(),
      delta: fc.oneof(fc.jsonValue(), fc.record({ message })),
    });
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string(),
            fc.json(),
            event.map((each) => JSON.stringify(each)),
          ),
        ),
        (all) => {
          const reader = new CohereStreamReader({ model: "m", request: { model: "m", messages: [] } });
          for (const data of all) {
            const each = { event: "", data, raw: Buffer.alloc(0) };
            if (reader.inspect(each) === "error") return;
            reader.decode(each);
          }
        },
      ),
    );
  });
});

describe.skipIf(!hasRecordings)("recorded streams", () => {
  const framed = (path: string) => recordedEvents(`cohere/main/${path}`).map((event) => frame(JSON.parse(event) as JsonObject));
  const recordings = {
    text: framed("cohere-text.chunks.txt"),
    calls: framed("cohere-tool-call.chunks.txt"),
    "a call without arguments": framed("cohere-empty-tool-call.chunks.txt"),
  };
  const expected = {
    text: [{ text: "The capital of France is Paris.", finish: "stop" }, [12, 7]],
    calls: [
      {
        reasoning:
          "I will use the weather tool to find the weather in San Francisco and the cityAttractions tool to find attractions in San Francisco.",
        calls: [
          { name: "weather", args: '{"location": "San Francisco"}' },
          { name: "cityAttractions", args: '{"city": "San Francisco"}' },
        ],
        finish: "tool_calls",
      },
      [119, 44],
    ],
    "a call without arguments": [{ calls: [{ name: "currentTime", args: "{}" }], finish: "tool_calls" }, [46, 14]],
  } as const;
  const names = Object.keys(recordings) as (keyof typeof recordings)[];

  it.each(names)("%s: text, calls and usage come out right", (name) => {
    const { chunks, usage: stated, whole } = readStream(cohere, recordings[name]);
    const [answer, counts] = expected[name];
    expect(assemble(chunks)).toMatchObject(answer);
    expect([stated?.inputTokens, stated?.outputTokens]).toEqual(counts);
    expect(whole).toBe(true);
  });

  it.each(names)("%s: cut at every byte, it reads the same", (name) => {
    expect(differingSplits(cohere, Buffer.concat(recordings[name]))).toEqual([]);
  });

  it.each(names)("%s: cut after any event, it is not whole", (name) => {
    for (let count = 0; count < recordings[name].length; count++) {
      expect(readStream(cohere, recordings[name].slice(0, count)).whole).toBe(false);
    }
  });
});
