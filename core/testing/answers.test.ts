import { describe, expect, it } from "vitest";
import type { ChatChunk, ChatReply, ChatRequest } from "../dialects/canonical.ts";
import { DIALECTS } from "../dialects/index.ts";
import { SseFramer } from "../dialects/sse.ts";
import { type Answer, type AnswerDialect, framesIn, replyIn } from "./answers.ts";
import { textOf } from "./exchange.ts";

const REQUEST: ChatRequest = { model: "m", messages: [{ role: "user", content: "Hi" }] };
const ANSWER: Answer = {
  text: "Let me look.",
  toolCalls: [
    { name: "get_weather", arguments: { city: "Zürich", days: [1, 2] } },
    { name: "get_time", arguments: {} },
  ],
  usage: { inputTokens: 30, cachedTokens: 4, outputTokens: 12 },
};

describe.each<AnswerDialect>(["openai-chat", "anthropic-messages", "gemini", "cohere"])("an answer in %s", (dialect) => {
  const upstream = DIALECTS.get(dialect)?.upstream;
  if (!upstream) throw new Error(`no such dialect: ${dialect}`);

  const usage = { inputTokens: 30, outputTokens: 12, cachedTokens: dialect === "cohere" ? 0 : 4 };

  it("says the same to the dialect's own reader, whole and streamed", () => {
    const reply = upstream.readReply("chat", JSON.parse(JSON.stringify(replyIn(dialect, ANSWER))), REQUEST) as ChatReply;
    expect(reply.choices[0]?.message.content).toBe("Let me look.");
    expect(calls(reply)).toEqual(ANSWER.toolCalls);
    expect(reply.choices[0]?.finish_reason).toBe("tool_calls");
    expect(upstream.readUsage("chat", JSON.parse(JSON.stringify(replyIn(dialect, ANSWER))))).toMatchObject(usage);

    const { chunks, kinds, stated, whole } = readStream(ANSWER);
    expect(textOf(chunks)).toBe("Let me look.");
    expect(chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []).flatMap((call) => call.function?.name ?? [])).toEqual([
      "get_weather",
      "get_time",
    ]);
    expect(stated).toMatchObject(usage);
    expect(kinds).toContain("content");
    expect(whole).toBe(true);
  });

  it("streams reasoning apart from the text", () => {
    const { chunks } = readStream({ reasoning: "Hm.", text: ["Yes", "."] });
    expect(textOf(chunks)).toBe("Yes.");
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.reasoning_content ?? "").join("")).toBe("Hm.");
  });

  function readStream(answer: Answer) {
    const reader = upstream?.streamReader({ model: "m", request: REQUEST });
    if (!reader) throw new Error("no reader");
    const kinds: string[] = [];
    const chunks: ChatChunk[] = [];
    for (const frame of new SseFramer().push(Buffer.from(framesIn(dialect, answer).join("")))) {
      kinds.push(reader.inspect(frame));
      chunks.push(...reader.decode(frame));
    }
    return { kinds, chunks, stated: reader.usage, whole: kinds.at(-1) === "end" || reader.endsWithBody };
  }
});

function calls(reply: ChatReply): { name: string; arguments: unknown }[] {
  return (reply.choices[0]?.message.tool_calls ?? []).map((call) => ({
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments),
  }));
}
