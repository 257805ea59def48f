import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assemble, differingSplits, readStream } from "../../test/support/read-stream.ts";
import { cassette, hasRecordings, recordedEvents } from "../../test/support/recordings.ts";
import type { JsonObject } from "./canonical.ts";
import { gemini } from "./gemini.ts";
import { GeminiStreamReader } from "./gemini-stream.ts";

function frames(...bodies: unknown[]): Buffer {
  return Buffer.from(bodies.map((body) => `data: ${typeof body === "string" ? body : JSON.stringify(body)}\r\n\r\n`).join(""));
}

function piece(parts: JsonObject[], more: JsonObject = {}): JsonObject {
  return { candidates: [{ content: { role: "model", parts }, index: 0, ...more }], responseId: "r", modelVersion: "v" };
}

describe("a stream of Gemini", () => {
  it("is whole once the finish reason was seen, and not before", () => {
    const all = [frames(piece([{ text: "a" }])), frames(piece([{ text: "b" }], { finishReason: "STOP" }))];
    expect(readStream(gemini, all.slice(0, 1)).whole).toBe(false);
    expect(readStream(gemini, all)).toMatchObject({ whole: true, kinds: ["content", "content"] });
  });

  it("is whole only when every candidate has finished", () => {
    const first = piece([{ text: "a" }], { finishReason: "STOP" });
    const second = piece([{ text: "b" }], { index: 1, finishReason: "STOP" });
    expect(readStream(gemini, [frames(first)], { n: 2 }).whole).toBe(false);
    const both = readStream(gemini, [frames(first, second)], { n: 2 });
    expect(both.whole).toBe(true);
    expect([assemble(both.chunks).text, assemble(both.chunks, 1).text]).toEqual(["a", "b"]);
  });

  it("has one id, model and time, the role once, and finish and usage last", () => {
    const usageMetadata = { promptTokenCount: 3, candidatesTokenCount: 2, thoughtsTokenCount: 1 };
    const { chunks } = readStream(gemini, [
      frames(piece([{ text: "hm", thought: true }]), piece([{ text: "a" }], { finishReason: "STOP" }), {
        usageMetadata,
        responseId: "other",
      }),
    ]);
    expect(new Set(chunks.map(({ id, model, created, object }) => JSON.stringify([id, model, created, object]))).size).toBe(1);
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([
      { role: "assistant", reasoning_content: "hm" },
      { content: "a" },
      {},
      undefined,
    ]);
    expect(chunks[2]?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks[3]).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 } });
  });

  it("tells frames that only state usage, and those that say nothing", () => {
    const usage = { usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2 } };
    const bytes = Buffer.concat([
      Buffer.from(": ping\r\n\r\n"),
      frames({ usageMetadata: { trafficType: "x" } }, piece([{ text: "" }]), usage),
    ]);
    expect(readStream(gemini, [bytes])).toMatchObject({ kinds: ["lifecycle", "lifecycle", "lifecycle", "usage"], chunks: [] });
  });

  it("numbers whole calls and finishes with them", () => {
    const { chunks, reader } = readStream(gemini, [
      frames(
        piece([{ functionCall: { name: "f", args: { a: 1 } }, thoughtSignature: "S" }, { functionCall: { id: "own", name: "g" } }]),
        piece([], { finishReason: "STOP" }),
      ),
    ]);
    expect(assemble(chunks)).toMatchObject({
      calls: [
        { name: "f", args: '{"a":1}', signature: { google: { thought_signature: "S" } } },
        { name: "g", args: "{}" },
      ],
      finish: "tool_calls",
    });
    expect(reader.outputBytes).toBe('{"a":1}{}'.length);
  });

  it("puts together arguments that come in pieces", () => {
    const args = (...partialArgs: JsonObject[]) => piece([{ functionCall: { partialArgs, willContinue: true } }]);
    const { chunks } = readStream(gemini, [
      frames(
        piece([{ functionCall: { name: "f", willContinue: true } }]),
        args({ jsonPath: "$.who", stringValue: "Ann", willContinue: true }, { jsonPath: "$.who", stringValue: " Lee" }),
        args(
          { jsonPath: "$.stops[0].n", numberValue: 1 },
          { jsonPath: "$.stops[1]['a b']", boolValue: true },
          { jsonPath: "$.z", nullValue: null },
        ),
        args({ jsonPath: "$.stops[9]", stringValue: "gap" }, { jsonPath: "who", stringValue: "x" }, { jsonPath: "$..", stringValue: "x" }),
        args({ jsonPath: "$.__proto__.polluted", boolValue: true }),
        piece([{ functionCall: {} }], { finishReason: "STOP" }),
      ),
    ]);
    const [made] = assemble(chunks).calls;
    expect(JSON.parse(made?.args ?? "")).toEqual(
      JSON.parse('{"who":"Ann Lee","stops":[{"n":1},{"a b":true}],"z":null,"__proto__":{"polluted":true}}'),
    );
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it("gives up a call that never ends", () => {
    const endless = { functionCall: { partialArgs: [{ jsonPath: "$.a", stringValue: "x".repeat(600_000) }], willContinue: true } };
    const { kinds } = readStream(gemini, [
      frames(piece([{ functionCall: { name: "f", willContinue: true } }])),
      frames(piece([endless])),
      frames(piece([endless])),
    ]);
    expect(kinds.at(-1)).toBe("error");
  });

  it("of a blocked prompt is a filtered answer", () => {
    const blocked = { promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 9 } };
    const { chunks, whole, usage } = readStream(gemini, [frames(blocked)]);
    expect(assemble(chunks)).toMatchObject({ text: "", finish: "content_filter" });
    expect([whole, usage?.inputTokens]).toEqual([true, 9]);
  });

  it.each([
    ["an error", { error: { code: 503, message: "overloaded", status: "UNAVAILABLE" } }, "overloaded"],
    ["a failed answer", piece([], { finishReason: "MALFORMED_FUNCTION_CALL" }), "the answer ended with MALFORMED_FUNCTION_CALL"],
    ["no JSON", "<html>", "a frame is not JSON"],
    ["no object", "[]", "a frame is not an object"],
    [
      "depth",
      `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":${'{"a":'.repeat(9000)}1${"}".repeat(9000)}}}]}}]}`,
      undefined,
    ],
  ])("that brings %s is broken there", (_, body, message) => {
    const { kinds, reader, whole } = readStream(gemini, [frames(piece([{ text: "a" }]), body)]);
    expect(kinds).toEqual(["content", "error"]);
    expect(whole).toBe(false);
    if (message) expect(reader.error?.message).toBe(message);
  });

  it("is billed by what it last stated; a smaller count does not lower it, and nonsense is ignored", () => {
    const stating = (usageMetadata: JsonObject) => ({ ...piece([{ text: "x" }]), usageMetadata });
    const usages = [
      stating({ promptTokenCount: 15 }),
      stating({ promptTokenCount: 13, candidatesTokenCount: 8 }),
      stating({ promptTokenCount: 13, candidatesTokenCount: 2 }),
      stating({ promptTokenCount: 13, candidatesTokenCount: -5 }),
      stating({ promptTokenCount: "9", candidatesTokenCount: 1e12 }),
    ].map((_, index, all) => readStream(gemini, [frames(...all.slice(0, index + 1))]).usage);
    expect(usages.map((usage) => usage && [usage.inputTokens, usage.outputTokens])).toEqual([null, [13, 8], [13, 8], [13, 8], [13, 8]]);
  });

  it("counts the bytes of text and thoughts", () => {
    expect(readStream(gemini, [frames(piece([{ text: "é" }, { text: "hm", thought: true }]))]).reader.outputBytes).toBe(4);
  });

  it("never makes the reader throw", () => {
    const bodies = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .record({
          candidates: fc.array(
            fc.record({ index: fc.jsonValue(), content: fc.record({ parts: fc.array(fc.jsonValue()) }), finishReason: fc.jsonValue() }),
          ),
          usageMetadata: fc.jsonValue(),
        })
        .map((body) => JSON.stringify(body)),
      fc
        .array(
          fc.record({
            functionCall: fc.record({
              name: fc.constantFrom("f", ""),
              partialArgs: fc.array(fc.record({ jsonPath: fc.string(), stringValue: fc.string() })),
              willContinue: fc.boolean(),
            }),
          }),
        )
        .map((parts) => JSON.stringify(piece(parts as unknown as JsonObject[]))),
    );
    fc.assert(
      fc.property(fc.array(bodies), (all) => {
        const reader = new GeminiStreamReader({ model: "m", request: { model: "m", messages: [] } });
        for (const data of all) {
          const frame = { event: "", data, raw: Buffer.alloc(0) };
          if (reader.inspect(frame) === "error") return;
          reader.decode(frame);
        }
      }),
    );
  });
});

describe.skipIf(!hasRecordings)("recorded streams", () => {
  const framed = (path: string) => recordedEvents(`google/main/${path}`).map((event) => Buffer.from(`data: ${event}\r\n\r\n`));
  const taped = (path: string) =>
    (cassette(`google/${path}`).find(({ text }) => text?.startsWith("data:"))?.text ?? "")
      .split(/(?<=\r\n\r\n)/)
      .filter(Boolean)
      .map((text) => Buffer.from(text));
  const recordings = {
    text: framed("google-text.chunks.txt"),
    reasoning: framed("google-reasoning-gemini3.chunks.txt"),
    "calls in pieces": framed("google-stream-no-args-tool-call.chunks.txt"),
    plain: taped("test_google_model_stream.yaml"),
    "web fetch": taped("test_google_model_web_fetch_tool_stream.yaml"),
    vertex: taped("test_google_vertex_service_tier_flex_stream.yaml"),
    "web search": taped("test_google_model_web_search_tool_stream.yaml"),
  };
  const expected = {
    text: [{ text: 'There are **3** "r"s in strawberry.\n\nst**r**awbe**rr**y', finish: "stop" }, [9, 208]],
    reasoning: [{ text: 'There are **3** "r"s in strawberry.\n\nSt**r**awbe**rr**y', finish: "stop" }, [9, 325]],
    "calls in pieces": [
      {
        calls: [
          { name: "read_theme", args: "{}", signature: { google: { thought_signature: expect.stringMatching(/^AY89a1/) } } },
          { name: "read_screen", args: '{"id":"A"}' },
          { name: "read_screen", args: '{"id":"B"}' },
          { name: "read_screen", args: '{"id":"C"}' },
        ],
        reasoning: expect.stringMatching(/^\*\*Processing User Requests/),
        finish: "tool_calls",
      },
      [249, 241],
    ],
    plain: [{ text: "The capital of France is Paris.\n", finish: "stop" }, [13, 8]],
    "web fetch": [{ text: "Pydantic AI Gateway is now available!", finish: "stop" }, [4642, 62]],
    vertex: [{ text: "OK", finish: "stop" }, [5, 101]],
    "web search": [{ text: expect.stringMatching(/^### Weather in San Francisco/), finish: "stop" }, [119, 653]],
  } as const;

  const names = Object.keys(recordings) as (keyof typeof recordings)[];

  it.each(names)("%s: text, calls and usage come out right", (name) => {
    const { chunks, usage, whole } = readStream(gemini, recordings[name]);
    const [answer, counts] = expected[name];
    expect(assemble(chunks)).toMatchObject(answer);
    expect([usage?.inputTokens, usage?.outputTokens]).toEqual(counts);
    expect(whole).toBe(true);
  });

  it.each(names)("%s: cut at every byte, it reads the same", (name) => {
    expect(differingSplits(gemini, Buffer.concat(recordings[name]))).toEqual([]);
  });

  it.each(names)("%s: cut after any event, it is not whole", (name) => {
    for (let count = 0; count < recordings[name].length; count++) {
      expect(readStream(gemini, recordings[name].slice(0, count)).whole).toBe(false);
    }
  });
});
