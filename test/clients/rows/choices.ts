import { GEMINI_HI, HI, type Row, refuses, sends } from "../row.ts";
import { openaiChunk, openaiReply } from "./openai-words.ts";

const openaiChoice = (index: number, content: string, finish: string | null = "stop") => ({
  index,
  message: { role: "assistant", content, refusal: null },
  logprobs: null,
  finish_reason: finish,
});
const geminiReply = (...candidates: object[]) => ({
  candidates,
  usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 4, totalTokenCount: 14 },
  modelVersion: "m",
  responseId: "answer_1",
});
const geminiText = (index: number, text: string, more: object = {}) => ({ index, content: { role: "model", parts: [{ text }] }, ...more });

const token = (text: string, logprob: number, top: string[] = []) => ({
  token: text,
  logprob,
  bytes: [...Buffer.from(text)],
  top_logprobs: top.map((each) => ({ token: each, logprob: -1, bytes: [...Buffer.from(each)] })),
});

/** Several answers at once, and how sure the model was of each word. */
export const CHOICES: readonly Row[] = [
  {
    feature: "Several choices (n)",
    asks: { openai: { messages: [HI], n: 2 } },
    gets: {
      "anthropic-messages": refuses("n"),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { candidateCount: 2 } }),
      cohere: refuses("n"),
    },
    answers: {
      "openai-chat": {
        reply: openaiReply([openaiChoice(0, "Heads"), openaiChoice(1, "Tails")]),
        frames: [
          openaiChunk({ index: 0, delta: { role: "assistant", content: "He" }, finish_reason: null }),
          openaiChunk({ index: 1, delta: { role: "assistant", content: "Ta" }, finish_reason: null }),
          openaiChunk({ index: 1, delta: { content: "ils" }, finish_reason: "stop" }),
          openaiChunk({ index: 0, delta: { content: "ads" }, finish_reason: "stop" }),
        ],
      },
      gemini: {
        reply: geminiReply(geminiText(0, "Heads", { finishReason: "STOP" }), geminiText(1, "Tails", { finishReason: "STOP" })),
        frames: [
          { candidates: [geminiText(0, "He"), geminiText(1, "Ta")] },
          { candidates: [geminiText(1, "ils", { finishReason: "STOP" })] },
          geminiReply(geminiText(0, "ads", { finishReason: "STOP" })),
        ],
      },
    },
    seen: { texts: ["Heads", "Tails"] },
  },
  {
    feature: "Log probabilities",
    asks: { openai: { messages: [HI], logprobs: true } },
    gets: {
      "anthropic-messages": refuses("logprobs"),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { responseLogprobs: true } }),
      cohere: sends({ messages: [HI], logprobs: true }),
    },
    answers: {
      "openai-chat": {
        reply: openaiReply([{ ...openaiChoice(0, "Hey"), logprobs: { content: [token("Hey", -0.5)], refusal: null } }]),
        frames: [
          openaiChunk({
            index: 0,
            delta: { role: "assistant", content: "Hey" },
            logprobs: { content: [token("Hey", -0.5)], refusal: null },
            finish_reason: null,
          }),
          openaiChunk({ index: 0, delta: {}, finish_reason: "stop" }),
        ],
      },
      gemini: geminiLogprobs([]),
      cohere: {
        reply: {
          id: "answer_1",
          finish_reason: "COMPLETE",
          message: { role: "assistant", content: [{ type: "text", text: "Hey" }] },
          logprobs: [{ text: "Hey", token_ids: [8], logprobs: [-0.5] }],
          usage: { billed_units: { input_tokens: 10, output_tokens: 1 } },
        },
        frames: [
          { type: "message-start", id: "answer_1", delta: { message: { role: "assistant" } } },
          { type: "content-start", index: 0, delta: { message: { content: { type: "text", text: "" } } } },
          {
            type: "content-delta",
            index: 0,
            delta: { message: { content: { text: "Hey" } } },
            logprobs: { text: "Hey", token_ids: [8], logprobs: [-0.5] },
          },
          { type: "content-end", index: 0 },
          { type: "message-end", delta: { finish_reason: "COMPLETE", usage: { billed_units: { input_tokens: 10, output_tokens: 1 } } } },
        ],
      },
    },
    seen: { text: "Hey", logprobs: [{ token: "Hey", logprob: -0.5, top: [] }] },
  },
  {
    feature: "Log probabilities of alternatives",
    asks: { openai: { messages: [HI], logprobs: true, top_logprobs: 2 } },
    gets: {
      "anthropic-messages": refuses("logprobs"),
      gemini: sends({ contents: [GEMINI_HI], generationConfig: { responseLogprobs: true, logprobs: 2 } }),
      cohere: refuses("top_logprobs"),
    },
    answers: {
      "openai-chat": {
        reply: openaiReply([{ ...openaiChoice(0, "Hey"), logprobs: { content: [token("Hey", -0.5, ["Hey", "Ho"])], refusal: null } }]),
        frames: [
          openaiChunk({
            index: 0,
            delta: { role: "assistant", content: "Hey" },
            logprobs: { content: [token("Hey", -0.5, ["Hey", "Ho"])], refusal: null },
            finish_reason: "stop",
          }),
        ],
      },
      gemini: geminiLogprobs(["Hey", "Ho"]),
    },
    seen: { logprobs: [{ token: "Hey", logprob: -0.5, top: ["Hey", "Ho"] }] },
  },
];

function geminiLogprobs(top: string[]) {
  const reply = geminiReply(
    geminiText(0, "Hey", {
      finishReason: "STOP",
      logprobsResult: {
        chosenCandidates: [{ token: "Hey", tokenId: 8, logProbability: -0.5 }],
        ...(top.length > 0 && { topCandidates: [{ candidates: top.map((each) => ({ token: each, logProbability: -1 })) }] }),
      },
    }),
  );
  return { reply, frames: [reply] };
}
