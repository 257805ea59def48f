import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { ChatChunk, ChatReply, ChatRequest } from "./canonical.ts";
import type { FrameKind } from "./dialect.ts";
import { DIALECTS } from "./index.ts";
import { SseFramer } from "./sse.ts";

/** Recorded provider traffic, read through the framer and the upstream dialects. */

const FIXTURES = join(import.meta.dirname, "../../../shared/fixtures");
const present = existsSync(FIXTURES);
const request: ChatRequest = { model: "m", messages: [{ role: "user", content: "?" }], stream: true };

interface Recording {
  readonly name: string;
  readonly dialect: string;
  readonly bytes: Buffer;
}

function chunkFiles(): Recording[] {
  const folders: [string, string][] = [
    ["anthropic/main", "anthropic-messages"],
    ["azure/main", "openai-chat"],
    ["groq/main", "openai-chat"],
    ["mistral/main", "openai-chat"],
    ["openai/chat", "openai-chat"],
    ["openai-compatible/chat", "openai-chat"],
  ];
  return folders.flatMap(([folder, dialect]) => {
    const path = join(FIXTURES, "ai-sdk", folder);
    return readdirSync(path)
      .filter((file) => file.endsWith(".chunks.txt"))
      .map((file) => ({ name: `${folder}/${file}`, dialect, lines: readFileSync(join(path, file), "utf8").split("\n").filter(Boolean) }))
      .filter(({ lines }) => dialect !== "openai-chat" || lines[0]?.includes('"choices"'))
      .map(({ name, lines }) => ({ name, dialect, bytes: Buffer.from(framed(lines, dialect)) }));
  });
}

function framed(lines: readonly string[], dialect: string): string {
  if (dialect === "openai-chat") return [...lines, "[DONE]"].map((line) => `data: ${line}\n\n`).join("");
  return lines.map((line) => `event: ${(JSON.parse(line) as { type: string }).type}\ndata: ${line}\n\n`).join("");
}

interface Cassette {
  readonly interactions: readonly { readonly response: { readonly body?: { readonly string?: string }; readonly parsed_body?: object } }[];
}

function cassettes(folder: string): { name: string; interactions: Cassette["interactions"] }[] {
  const path = join(FIXTURES, "cassettes", folder);
  return readdirSync(path).map((name) => ({
    name,
    interactions: (parse(readFileSync(join(path, name), "utf8")) as Cassette).interactions,
  }));
}

function cassetteStreams(): Recording[] {
  return cassettes("anthropic").flatMap(({ name, interactions }) =>
    interactions.flatMap(({ response }) => {
      const text = response.body?.string ?? "";
      return text.startsWith("event:") ? [{ name, dialect: "anthropic-messages", bytes: Buffer.from(text) }] : [];
    }),
  );
}

interface Read {
  readonly kinds: FrameKind[];
  readonly chunks: Chunk[];
  readonly usage: unknown;
  readonly outputBytes: number;
}

type Chunk = Pick<ChatChunk, "id" | "choices">;

/** Ids that a reader had to make up differ between readings. */
function settled(chunks: readonly ChatChunk[]): Chunk[] {
  return chunks.map(
    ({ created: _, ...chunk }) => JSON.parse(JSON.stringify(chunk).replaceAll(/(call|chatcmpl)_[0-9a-f]{32}/g, "$1")) as ChatChunk,
  );
}

function read(dialect: string, pieces: readonly Buffer[]): Read {
  const upstream = DIALECTS.get(dialect)?.upstream;
  if (!upstream) throw new Error(`no upstream dialect ${dialect}`);
  const framer = new SseFramer();
  const reader = upstream.streamReader({ model: "m", request });
  const frames = [...pieces.flatMap((piece) => framer.push(piece)), ...framer.end()];
  const kinds: FrameKind[] = [];
  const chunks: ChatChunk[] = [];
  for (const frame of frames) {
    kinds.push(reader.inspect(frame));
    if (kinds.at(-1) === "end" || kinds.at(-1) === "error") break;
    chunks.push(...reader.decode(frame));
  }
  return { kinds, chunks: settled(chunks), usage: reader.usage, outputBytes: reader.outputBytes };
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

const recordings = present ? [...chunkFiles(), ...cassetteStreams()] : [];
/** Two answers spliced into one stream: see below. */
const whole = recordings.filter(({ name }) => !name.includes("spliced"));
const named = (name: string) => recordings.find((each) => each.name.includes(name)) as Recording;
const readNamed = (name: string) => {
  const { dialect, bytes } = named(name);
  return read(dialect, [bytes]);
};

describe.skipIf(!present)("recorded streams (skipped where ../shared/fixtures is absent)", () => {
  it.each(whole)("$name is read to its end", ({ dialect, bytes }) => {
    const { kinds, chunks, usage } = read(dialect, [bytes]);
    expect(kinds.at(-1)).toBe("end");
    expect(kinds).toContain("content");
    expect(answer(chunks).finish).toHaveLength(1);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    for (const tool of answer(chunks).tools) expect(() => JSON.parse(tool.arguments)).not.toThrow();
    if (bytes.includes('"usage":{')) expect(usage).toEqual(expect.objectContaining({ outputTokens: expect.any(Number) }));
  });

  it.each(whole)("$name reads the same wherever it is split", ({ dialect, bytes }) => {
    const expected = read(dialect, [bytes]);
    expect(JSON.stringify(expected)).toBe(JSON.stringify(read(dialect, [bytes])));
    // Two pieces, at every byte of the first 3 KB; the framer's own test splits everywhere.
    const head = bytes.subarray(0, 3 * 1024);
    const beginning = JSON.stringify(read(dialect, [head]));
    for (let at = 1; at < head.length; at += 1) {
      expect(JSON.stringify(read(dialect, [head.subarray(0, at), head.subarray(at)]))).toBe(beginning);
    }
    expect(
      read(
        dialect,
        Array.from(bytes, (byte) => Buffer.of(byte)),
      ),
    ).toEqual(expected);
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

describe.skipIf(!present)("recorded replies (skipped where ../shared/fixtures is absent)", () => {
  const replies = present
    ? [
        ...cassettes("anthropic").map((each) => ({ ...each, dialect: "anthropic-messages" })),
        ...cassettes("openai").map((each) => ({ ...each, dialect: "openai-chat" })),
        ...cassettes("groq").map((each) => ({ ...each, dialect: "openai-chat" })),
      ].flatMap(({ name, dialect, interactions }) =>
        interactions.flatMap(({ response }) => (response.parsed_body ? [{ name, dialect, body: response.parsed_body as never }] : [])),
      )
    : [];

  it.each(replies)("$name", ({ dialect, body }: { dialect: string; body: Record<string, never> }) => {
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
