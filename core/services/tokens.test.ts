import { createRequire } from "node:module";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { Scope } from "../di.ts";
import type { ChatRequest } from "../dialects/canonical.ts";
import { sampledTokens } from "./token-estimate.ts";
import { Tokens } from "./tokens.ts";

const require = createRequire(import.meta.url);
const { get_encoding }: typeof import("tiktoken") = require("tiktoken");
const o200k = get_encoding("o200k_base");
const cl100k = get_encoding("cl100k_base");
const exact = (text: string) => o200k.encode(text, [], []).length;

const fresh = () => new Scope().get(Tokens);
const user = (...contents: string[]): ChatRequest => ({
  model: "gpt-4o",
  messages: contents.map((content) => ({ role: "user", content })),
});

/** Noise that is the same every time. */
function noise(length: number): string {
  let state = 1;
  let text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    text += state.toString(36);
  }
  return text.slice(0, length);
}
const repeated = (unit: string) => (length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);

const KILLERS: Record<string, (length: number) => string> = {
  "one letter": repeated("a"),
  underscores: repeated("_"),
  "Chinese without a stop": repeated("漢字仮名交文"),
  "Thai without a space": repeated("สวัสดีชาวโลกนี่คือข้อความ"),
  "joined emoji": repeated("👨‍👩‍👧‍👦"),
  "white space": repeated(" "),
  "lines and tabs": repeated("\n\t"),
  zalgo: repeated("Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍"),
  base64: (length) => Buffer.from(noise(length)).toString("base64").slice(0, length),
  "symbols and emoji in turns": repeated("_😀"),
  "marks on symbols": repeated("_\u0301"),
  "half characters": repeated("\ud83d"),
  "zero bytes": repeated("\0"),
  "camel case": repeated("aB1_"),
  prose: repeated("The quick brown fox jumps over the lazy dog, né à Genève. "),
};

/** The fastest of three, so that another process on the machine does not fail a test. */
function fastest(work: () => void): number {
  return Math.min(...[0, 1, 2].map(() => timed(work)));
}
function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

beforeAll(() => {
  fresh().text("load");
});

describe("counting a text", () => {
  it("agrees with OpenAI's own tokenizer on any short text", () => {
    const tokens = fresh();
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        expect(tokens.text(text)).toEqual({ tokens: exact(text), estimated: false });
        expect(tokens.text(text, "gpt-4")).toEqual({ tokens: cl100k.encode(text, [], []).length, estimated: false });
      }),
    );
  });

  it("takes special tokens in a client's text for what they say", () => {
    expect(fresh().text("a <|endoftext|> b <|im_start|>")).toEqual({ tokens: exact("a <|endoftext|> b <|im_start|>"), estimated: false });
  });

  it("knows OpenAI's families, and says that others are estimates", () => {
    const tokens = fresh();
    const text = "Straßenbahnhaltestelle, 停留所";
    expect(o200k.encode(text).length).not.toBe(cl100k.encode(text).length);
    for (const model of [
      "gpt-4o-mini",
      "gpt-4.1",
      "gpt-5.6",
      "o3",
      "o4-mini",
      "chatgpt-4o-latest",
      "ft:gpt-4o:org::id",
      "openai/gpt-5",
      undefined,
    ]) {
      expect(tokens.text(text, model)).toEqual({ tokens: o200k.encode(text).length, estimated: false });
    }
    for (const model of ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "gpt-35-turbo", "text-embedding-3-small"]) {
      expect(tokens.text(text, model)).toEqual({ tokens: cl100k.encode(text).length, estimated: false });
    }
    for (const model of ["claude-sonnet-5", "gemini-3-pro", "llama3.1", "olmo", "__proto__", ""]) {
      expect(tokens.text(text, model)).toEqual({ tokens: o200k.encode(text).length, estimated: true });
    }
  });

  it("counts an empty text as none", () => {
    expect(fresh().text("")).toEqual({ tokens: 0, estimated: false });
  });

  it("counts thirty kilobytes of prose exactly", () => {
    const text = repeated("It was the best of times, it was the worst of times; ")(30_000);
    expect(fresh().text(text)).toEqual({ tokens: exact(text), estimated: false });
  });
});

describe.each(Object.entries(KILLERS))("a text of %s", (_name, make) => {
  it("never takes 50 ms, at any length up to four megabytes", () => {
    for (const length of [1_000, 3_000, 6_000, 20_000, 40_000, 1_000_000, 4_000_000]) {
      const text = make(length);
      expect(fastest(() => void fresh().text(text))).toBeLessThan(50);
    }
  });

  it("is estimated from 0.9 to 1.25 of the truth when it is too expensive", () => {
    const text = make(10_000);
    const ratio = sampledTokens([text], exact) / exact(text);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.25);
    expect(fresh().text(make(1_000_000)).estimated).toBe(true);
  });
});

describe("estimating", () => {
  it("stays within a factor of two on texts put together from different ones", () => {
    const kind = fc.constantFrom(...Object.values(KILLERS));
    const piece = fc.tuple(kind, fc.integer({ min: 200, max: 2_000 })).map(([make, length]) => make(length));
    fc.assert(
      fc.property(
        fc.array(
          fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join("")),
          { minLength: 1, maxLength: 6 },
        ),
        (texts) => {
          const truth = texts.reduce((sum, text) => sum + exact(text), 0);
          const estimate = sampledTokens(texts, exact);
          expect(estimate).toBeGreaterThan(truth / 2);
          expect(estimate).toBeLessThan(truth * 2);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("makes nothing of nothing", () => {
    expect(sampledTokens([], exact)).toBe(0);
    expect(sampledTokens(["", ""], exact)).toBe(0);
    expect(sampledTokens(["", "a", ""], exact)).toBe(2);
  });
});

describe("counting a request", () => {
  it("adds the format's own tokens to those of the messages", () => {
    // OpenAI's cookbook prints 124 for this conversation on gpt-4o, as their API counted it.
    const message = (name: string, content: string) => ({ role: "system" as const, name, content });
    const request: ChatRequest = {
      model: "gpt-4o",
      messages: [
        { role: "system", content: "You are a helpful, pattern-following assistant that translates corporate jargon into plain English." },
        message("example_user", "New synergies will help drive top-line growth."),
        message("example_assistant", "Things working well together will increase revenue."),
        message("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
        message("example_assistant", "Let's talk later when we're less busy about how to do better."),
        { role: "user", content: "This late pivot means we don't have time to boil the ocean for the client deliverable." },
      ],
    };
    expect(fresh().request(request)).toEqual({ tokens: 124, estimated: false });
  });

  it("counts parts, names, calls, results, tools and schemas", () => {
    const tokens = fresh();
    const base = tokens.request(user("hello")).tokens;
    const count = (request: Partial<ChatRequest>) => tokens.request({ ...user("hello"), ...request });
    expect(count({ messages: [{ role: "user", content: [{ type: "text", text: "hello" }] }] })).toEqual({ tokens: base, estimated: false });
    expect(count({ messages: [{ role: "user", name: "ann", content: "hello" }] }).tokens).toBe(base + 1 + exact("ann"));
    const call = { id: "c1", type: "function" as const, function: { name: "weather", arguments: '{"city":"Bern"}' } };
    expect(count({ messages: [{ role: "assistant", content: null, tool_calls: [call] }] }).tokens).toBeGreaterThan(
      exact("weather") + exact(call.function.arguments),
    );
    expect(count({ messages: [{ role: "tool", tool_call_id: "c1", content: "sunny" }] }).tokens).toBe(3 + 3 + 1 + exact("sunny"));
    const tool = { type: "function" as const, function: { name: "weather", parameters: { type: "object" } } };
    expect(count({ tools: [tool] })).toEqual({ tokens: base + exact(JSON.stringify(tool.function)), estimated: true });
    const json_schema = { name: "answer", schema: { type: "object" } };
    expect(count({ response_format: { type: "json_schema", json_schema } }).tokens).toBe(base + exact(JSON.stringify(json_schema)));
  });

  it("counts an image flat, whatever its bytes", () => {
    const image = (url: string, detail?: string): ChatRequest => ({
      model: "gpt-4o",
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url, ...(detail ? { detail } : {}) } }] }],
    });
    const tokens = fresh();
    expect(tokens.request(image("https://example.com/a.png"))).toEqual({ tokens: 3 + 4 + 1105, estimated: true });
    expect(tokens.request(image(`data:image/png;base64,${noise(1_000_000)}`)).tokens).toBe(3 + 4 + 1105);
    expect(tokens.request(image("https://example.com/a.png", "low")).tokens).toBe(3 + 4 + 85);
  });

  it("counts the text of a document, but not its bytes", () => {
    const document = (media_type: string): ChatRequest => ({
      model: "gpt-4o",
      messages: [
        {
          role: "user",
          content: [
            { type: "foreign", dialect: "anthropic-messages", path: "messages[0]", value: { source: { media_type, data: noise(10_000) } } },
          ],
        },
      ],
    });
    expect(fresh().request(document("application/pdf")).tokens).toBeLessThan(1_200);
    expect(fresh().request(document("text/plain")).tokens).toBeGreaterThan(exact(noise(10_000)));
  });

  it("keeps to one budget however many messages there are, and estimates the rest", () => {
    const many = user(...Array.from({ length: 1_000 }, (_, index) => `${index} ${KILLERS.prose?.(4_000)}`));
    const truth = many.messages.reduce((sum, message) => sum + 4 + exact(message.content as string), 3);
    const counted = fresh().request(many);
    expect(counted.estimated).toBe(true);
    expect(counted.tokens / truth).toBeGreaterThan(0.9);
    expect(counted.tokens / truth).toBeLessThan(1.25);
    expect(fastest(() => void fresh().request(many))).toBeLessThan(50);
    for (const make of Object.values(KILLERS)) {
      const killers = user(...Array.from({ length: 200 }, (_, index) => index + make(3_000)));
      expect(fastest(() => void fresh().request(killers))).toBeLessThan(50);
    }
    const tiny = user(...Array.from({ length: 100_000 }, (_, index) => `hi ${index}`));
    expect(fastest(() => void fresh().request(tiny))).toBeLessThan(50);
  });

  it("becomes exact for a long conversation that is counted again and again", () => {
    const tokens = fresh();
    const long = user(...Array.from({ length: 60 }, (_, index) => `${index} ${KILLERS.prose?.(3_000)}`));
    const truth = long.messages.reduce((sum, message) => sum + 4 + exact(message.content as string), 3);
    let counted = tokens.request(long);
    for (let turn = 0; turn < 20 && counted.estimated; turn++) counted = tokens.request(long);
    expect(counted).toEqual({ tokens: truth, estimated: false });
    expect(fastest(() => void tokens.request(long))).toBeLessThan(10);
  });
});
