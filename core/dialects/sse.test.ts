import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Frame, SseFramer } from "./sse.ts";

function run(chunks: readonly Buffer[]): Frame[] {
  const framer = new SseFramer();
  return [...chunks.flatMap((chunk) => framer.push(chunk)), ...framer.end()];
}

const plain = (frames: readonly Frame[]) => frames.map(({ event, data, raw }) => ({ event, data, raw: raw.toString("latin1") }));
const messages = (text: string) => run([Buffer.from(text)]).map(({ event, data }) => (event ? [event, data] : data));

const cases: [name: string, text: string, expected: (string | string[])[]][] = [
  ["one event", "data: a\n\n", ["a"]],
  ["CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]],
  ["lone CR", "data: a\r\rdata: b\r\r", ["a", "b"]],
  ["all line ends mixed", "data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\r", ["a", "b", "c", "d"]],
  ["a BOM at the start", "\ufeffdata: a\n\ndata: \ufeffb\n\n", ["a", "\ufeffb"]],
  ["a BOM alone on its line", "\ufeff\n\ndata: a\n\n", ["", "a"]],
  ["no space after the colon", "data:a\n\ndata:  b\n\n", ["a", " b"]],
  ["several data lines", "data: a\ndata:b\ndata\ndata: \n\n", ["a\nb\n\n"]],
  ["event, id, retry and comments", ": hi\nevent: x\nid: 7\nretry: 10\ndata: a\n\n", [["x", "a"]]],
  ["a comment alone", ": ping\n\ndata: a\n\n", ["", "a"]],
  ["empty data", "data:\n\ndata\n\ndata: \n\n", ["", "", ""]],
  ["blank lines in between", "\n\ndata: a\n\n\n\r\ndata: b\n\n\n", ["a", "b"]],
  ["an unknown field", "database: a\nDATA: b\ndata : c\n\n", [""]],
  ["the last event name", "event: x\nevent:y\ndata: a\n\nevent: x\nevent\ndata: b\n\n", [["y", "a"], "b"]],
  ["emoji and CJK", "data: 👩‍👩‍👧 漢字\nevent: é\n\n", [["é", "👩‍👩‍👧 漢字"]]],
  ["an unterminated rest", "data: a\n\ndata: b\n", ["a"]],
];

describe("SseFramer", () => {
  it.each(cases)("reads %s", (_, text, expected) => {
    expect(messages(text)).toEqual(expected);
  });

  it.each(cases)("gives the same frames wherever %s is split", (_, text) => {
    const bytes = Buffer.from(text);
    const whole = plain(run([bytes]));
    expect(plain(run(Array.from(bytes, (byte) => Buffer.of(byte))))).toEqual(whole);
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 1) {
        expect(plain(run([bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]))).toEqual(whole);
      }
    }
  });

  const line = fc.oneof(
    fc.constantFrom("data: ", "data:", "data", "event: x", "event", ": c", "id: 1", "retry: 5", "", "", "", "x", "data: é漢👍", "event:y"),
    fc.string({ maxLength: 8 }).map((text) => text.replace(/[\r\n\ufeff]/g, "")),
  );
  const stream = fc
    .array(fc.tuple(line, fc.constantFrom("\n", "\n", "\r\n", "\r")), { maxLength: 30 })
    .map((lines) => Buffer.from(lines.flat().join("")));

  it("agrees with eventsource-parser on any stream", () => {
    fc.assert(
      fc.property(stream, fc.boolean(), (body, bom) => {
        const bytes = bom ? Buffer.concat([Buffer.from("\ufeff"), body]) : body;
        const expected: string[][] = [];
        const parser = createParser({ onEvent: ({ event, data }) => expected.push([event ?? "", data]) });
        parser.feed(bytes.toString("utf8"));
        // The parser waits for ever after a last lone CR; the standard does not.
        if (bytes.at(-1) === 0x0d) parser.feed("\n");
        const seen = run([bytes]).map(({ event, data }) => [event, data]);
        expect(seen.filter(([, data]) => data !== "")).toEqual(expected.filter(([, data]) => data !== ""));
      }),
      { numRuns: 2000 },
    );
  });

  it("loses no byte and gives the same frames for any slicing", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(400), { maxLength: 8 }), (bytes, cuts) => {
        const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const sliced = run(edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge)));
        expect(plain(sliced)).toEqual(plain(run([bytes])));
        const raw = Buffer.concat(sliced.map((frame) => frame.raw));
        expect(bytes.subarray(0, raw.length).equals(raw)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("does not copy a frame that lies inside one chunk", () => {
    const chunk = Buffer.from("data: a\n\ndata: b\n\n");
    for (const frame of new SseFramer().push(chunk)) expect(frame.raw.buffer).toBe(chunk.buffer);
  });

  it("refuses a line or a frame over 1 MiB, however it arrives", () => {
    const refused = expect.objectContaining({ code: "upstream_invalid" });
    const piece = Buffer.alloc(64 * 1024, "x");
    const endless = new SseFramer();
    expect(() => Array.from({ length: 17 }, () => endless.push(piece))).toThrow(refused);
    const lines = new SseFramer();
    const comment = Buffer.from(`: ${"x".repeat(1000)}\n`);
    expect(() => Array.from({ length: 1100 }, () => lines.push(comment))).toThrow(refused);
    expect(() => new SseFramer().push(Buffer.concat([Buffer.alloc(2 ** 20, "x"), Buffer.from("\n\n")]))).toThrow(refused);
    const largest = Buffer.concat([Buffer.from("data: "), Buffer.alloc(2 ** 20 - 8, "x"), Buffer.from("\n\n")]);
    expect(new SseFramer().push(largest)).toHaveLength(1);
  });

  it("takes a megabyte byte by byte without slowing down", () => {
    const framer = new SseFramer();
    const started = performance.now();
    const byte = Buffer.from("x");
    for (let count = 0; count < 1_000_000; count += 1) framer.push(byte);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
