import { describe, expect, it } from "vitest";
import { allRecordings, hasRecordings } from "../../test/support/recordings.ts";
import type { ChatChunk, ChatReply, ChatRequest, JsonObject } from "./canonical.ts";
import type { FrameKind } from "./dialect.ts";
import { DIALECTS } from "./index.ts";
import { SseFramer } from "./sse.ts";

/** Recorded provider traffic, read through the framer and the upstream dialects. */

const request: ChatRequest = { model: "m", messages: [{ role: "user", content: "?" }], stream: true };

interface Read {
  readonly kinds: FrameKind[];
  readonly chunks: Chunk[];
  readonly usage: unknown;
  readonly outputBytes: number;
}

type Chunk = Pick<ChatChunk, "id" | "model" | "choices" | "usage">;

/** A reading as text; ids that a reader had to make up differ between readings. */
function fingerprint(reading: Read): string {
  return JSON.stringify(reading).replaceAll(/(call|chatcmpl)_[0-9a-f]{32}/g, "$1");
}

function read(dialect: string, pieces: readonly Buffer[]): Read {
  const upstream = DIALECTS.get(dialect)?.upstream;
  if (!upstream) throw new Error(`no upstream dialect ${dialect}`);
  const framer = new SseFramer();
  const reader = upstream.streamReader({ model: "m", request });
  const frames = [...pieces.flatMap((piece) => framer.push(piece)), ...framer.end()];
  const kinds: FrameKind[] = [];
  const chunks: Chunk[] = [];
  for (const frame of frames) {
    kinds.push(reader.inspect(frame));
    if (kinds.at(-1) === "end" || kinds.at(-1) === "error") break;
    for (const { created: _, ...chunk } of reader.decode(frame)) chunks.push(chunk);
  }
  return { kinds, chunks, usage: reader.usage, outputBytes: reader.outputBytes };
}

function answer(chunks: readonly Chunk[]) {
  const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta));
  const tools: { name: string; arguments: string }[] = [];
  for (const call of deltas.flatMap(({ tool_calls: calls }) => calls ?? [])) {
    tools[call.index] ??= { name: "", arguments: "" };
    const tool = tools[call.index];
    if (tool) tool.name += call.function?.name ?? "";
    if (tool) tool.arguments += call.function?.arguments ?? "";
  }
  return {
    text: deltas.map(({ content }) => content ?? "").join(""),
    reasoning: deltas.map(({ reasoning_content: text }) => text ?? "").join(""),
    tools,
    finish: chunks.flatMap(({ choices }) => choices.flatMap(({ finish_reason: finish }) => finish ?? [])),
  };
}

const { replayed } = allRecordings();
const streams = replayed
  .filter(({ streamed }) => streamed)
  .map(({ name, dialect, wire }) => ({
    name: name.replace(/^(?:ai-sdk|cassettes)\//, ""),
    dialect: dialect as string,
    bytes: Buffer.concat(wire),
  }));
/** Gemini's and Cohere's have tests of their own beside their readers. */
const recordings = streams.filter(({ dialect }) => dialect === "openai-chat" || dialect === "anthropic-messages");
/** Two answers spliced into one stream: see below. */
const whole = recordings.filter(({ name }) => !name.includes("spliced"));
const named = (name: string) => recordings.find((each) => each.name.includes(name)) as (typeof recordings)[0];
const readNamed = (name: string) => {
  const { dialect, bytes } = named(name);
  return read(dialect, [bytes]);
};

describe.skipIf(!hasRecordings)("recorded streams (skipped where ../shared/fixtures is absent)", () => {
  it.each(whole)("$name is read to its end", ({ dialect, bytes }) => {
    const { kinds, chunks, usage } = read(dialect, [bytes]);
    expect(kinds.at(-1)).toBe("end");
    expect(kinds).toContain("content");
    expect(answer(chunks).finish).toHaveLength(1);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    for (const tool of answer(chunks).tools) expect(() => JSON.parse(tool.arguments)).not.toThrow();
    if (bytes.includes('"usage":{')) expect(usage).toEqual(expect.objectContaining({ outputTokens: expect.any(Number) }));
  });

  // Reading the longest ones again for each of their bytes would take hours.
  const short = streams.filter(({ bytes }) => bytes.length <= 7 * 1024);

  it("that are split at every byte are at least 20, of every dialect", () => {
    expect(short.length).toBeGreaterThanOrEqual(20);
    expect(new Set(short.map(({ dialect }) => dialect)).size).toBe(4);
  });

  it.each(short)("$name reads the same, split in two at any byte", ({ dialect, bytes }) => {
    const expected = fingerprint(read(dialect, [bytes]));
    for (let at = 1; at < bytes.length; at += 1) {
      expect(fingerprint(read(dialect, [bytes.subarray(0, at), bytes.subarray(at)]))).toBe(expected);
    }
  });

  it.each(streams)("$name reads the same byte by byte", ({ dialect, bytes }) => {
    const bytewise = Array.from(bytes, (byte) => Buffer.of(byte));
    expect(fingerprint(read(dialect, bytewise))).toBe(fingerprint(read(dialect, [bytes])));
  });

  it.each(whole)("$name never ends when it is cut after an event", ({ dialect, bytes }) => {
    const framer = new SseFramer();
    const frames = [...framer.push(bytes), ...framer.end()];
    const end = read(dialect, [bytes]).kinds.length;
    for (let count = 0; count < end; count += Math.ceil(end / 200)) {
      expect(
        read(
          dialect,
          frames.slice(0, count).map(({ raw }) => raw),
        ).kinds,
      ).not.toContain("end");
    }
  });

  it("Anthropic: text, tools, thinking, usage", () => {
    expect(answer(readNamed("main/anthropic-text").chunks)).toMatchObject({
      text: expect.stringMatching(/^Hello! I'm doing well/),
      finish: ["stop"],
    });
    const tool = readNamed("anthropic-json-tool.1");
    expect(answer(tool.chunks)).toMatchObject({ tools: [{ name: "json" }], finish: ["tool_calls"] });
    expect(JSON.parse(answer(tool.chunks).tools[0]?.arguments ?? "")).toMatchObject({ elements: [{ location: "San Francisco" }] });
    expect(tool.usage).toMatchObject({ inputTokens: 849, outputTokens: 47 });
    expect(readNamed("message-delta-input-tokens").usage).toMatchObject({ inputTokens: 61, outputTokens: 2 });
    expect(answer(readNamed("anthropic-refusal").chunks)).toMatchObject({ text: "", finish: ["content_filter"] });
    const thinking = readNamed("thinking_part_stream").chunks;
    expect(answer(thinking).reasoning).toMatch(/^This is a straightforward question about/);
    const details = thinking.flatMap(({ choices }) => choices.flatMap(({ delta }) => delta.reasoning_details ?? []));
    expect(details).toEqual([{ type: "thinking", thinking: answer(thinking).reasoning, signature: expect.stringMatching(/./) }]);
    const redacted = readNamed("thinking_part_redacted_stream").chunks;
    expect(redacted.flatMap(({ choices }) => choices.flatMap(({ delta }) => delta.reasoning_details ?? []))).toMatchObject([
      { type: "redacted_thinking" },
      { type: "redacted_thinking" },
    ]);
  });

  it("Anthropic: the text around its own server tools is kept", () => {
    const { chunks, usage } = readNamed("anthropic-web-search-tool.1");
    expect(answer(chunks)).toMatchObject({ tools: [], text: expect.stringMatching(/./) });
    expect(usage).toMatchObject({ inputTokens: 15665, outputTokens: 795 });
  });

  it("Anthropic: a repeated message_start changes nothing, another answer's is an error", () => {
    const { chunks, usage } = readNamed("duplicate-message-start");
    expect(answer(chunks)).toMatchObject({ text: "Hello, World!", finish: ["stop"] });
    expect(chunks.filter(({ choices }) => choices[0]?.delta.role)).toHaveLength(1);
    expect(usage).toMatchObject({ inputTokens: 17, outputTokens: 227 });
    expect(readNamed("spliced-message-start").kinds.at(-1)).toBe("error");
  });

  it("OpenAI, Azure, Groq, Mistral, xAI: each one's habits come out alike", () => {
    expect(answer(readNamed("chat/openai-text").chunks)).toMatchObject({ text: expect.stringMatching(/^\*\*Holiday/), finish: ["stop"] });
    const azure = readNamed("azure-model-router");
    expect(azure.kinds.slice(0, 3)).toEqual(["lifecycle", "lifecycle", "content"]);
    expect(answer(azure.chunks).text).toMatch(/^Capital of/);
    const groq = readNamed("groq-tool-call");
    expect(answer(groq.chunks)).toMatchObject({ tools: [{ name: "weather", arguments: "{}" }], finish: ["tool_calls"] });
    expect(groq.usage).toMatchObject({ inputTokens: 210, outputTokens: 15 });
    const mistral = readNamed("mistral-reasoning");
    expect(answer(mistral.chunks)).toMatchObject({ text: "2 + 2 = 4", reasoning: expect.stringMatching(/^The user is asking for 2\+2/) });
    expect(mistral.usage).toMatchObject({ inputTokens: 10, outputTokens: 46 });
    expect(answer(readNamed("mistral-incremental-tool-call").chunks).tools).toEqual([
      { name: "webSearchTool", arguments: '{"query": "current Berlin weather"}' },
    ]);
    const xai = readNamed("xai-tool-call");
    expect(xai.usage).toEqual({ inputTokens: 307, outputTokens: 253, cachedTokens: 306, cacheWriteTokens: 0, reasoningTokens: 227 });
    expect(xai.kinds.slice(-2)).toEqual(["usage", "end"]);
  });

  it.each(["compact", "spaced"])("counts the bytes of the answer exactly in %s JSON", (spacing) => {
    for (const { dialect, bytes, name } of whole) {
      const { chunks, outputBytes } = read(dialect, [spacing === "compact" ? bytes : spaced(bytes)]);
      const { text, reasoning, tools } = answer(chunks);
      const made = tools.filter((tool) => tool.arguments === "{}" && dialect !== "openai-chat").length * 2;
      const expected = Buffer.byteLength(text + reasoning + tools.map((tool) => tool.arguments).join("")) - made;
      // Anthropic's own server tools say more than the canonical form shows.
      if (bytes.includes("server_tool_use") || bytes.includes("mcp_tool_use") || name.includes("refusal")) {
        expect(outputBytes, name).toBeGreaterThanOrEqual(expected);
      } else {
        expect(outputBytes, name).toBe(expected);
      }
    }
  });
});

function spaced(bytes: Buffer): Buffer {
  const lines = bytes.toString().split("\n");
  return Buffer.from(lines.map((line) => (line.startsWith("data: {") ? `data: ${respaced(line.slice(6))}` : line)).join("\n"));
}

/** Python's spacing. */
function respaced(json: string): string {
  return JSON.stringify(JSON.parse(json), null, 1).replaceAll(/\n\s*/g, " ");
}

describe.skipIf(!hasRecordings)("recorded replies (skipped where ../shared/fixtures is absent)", () => {
  const replies = replayed
    .filter(({ name, streamed, dialect }) => name.startsWith("cassettes/") && !streamed && dialect !== "gemini")
    .map(({ name, dialect, events }) => ({ name, dialect: dialect as string, body: JSON.parse(events[0] ?? "") as JsonObject }));

  it.each(replies)("$name", ({ dialect, body }) => {
    const upstream = DIALECTS.get(dialect)?.upstream;
    if (!upstream) throw new Error("no such dialect");
    if (body.error) {
      expect(upstream.readError(400, body).message).toMatch(/./);
      expect(() => upstream.readReply("chat", body, request)).toThrow(expect.objectContaining({ code: "upstream_invalid" }));
      return;
    }
    if (!body.content && !body.choices) return;
    const reply = upstream.readReply("chat", body, request) as ChatReply;
    expect(reply.choices[0]?.finish_reason).toMatch(/^(stop|length|tool_calls|content_filter)$/);
    for (const call of reply.choices[0]?.message.tool_calls ?? []) {
      expect(call).toEqual(expect.objectContaining({ id: expect.stringMatching(/./), type: "function" }));
      expect(() => JSON.parse(call.function.arguments)).not.toThrow();
    }
    expect(upstream.readUsage("chat", body)).toEqual(expect.objectContaining({ inputTokens: expect.any(Number) }));
    for (const client of ["openai-chat", "anthropic-messages"]) {
      const written = DIALECTS.get(client)?.client?.writeReply("chat", reply, { requestId: "r", request });
      expect(JSON.stringify(written)).toContain(reply.id);
    }
  });
});
