import type { ChatReply, WireUsage } from "headgate";
import type { Step } from "./body.ts";
import { type Choice, tokensOf } from "./chat.ts";

/** A whole chat answer before it is written down. */
export interface Answer {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly Choice[];
  readonly promptTokens: number;
}

/** How fast an answer is made, in ms. */
export interface Pace {
  readonly latency: number;
  readonly perToken: number;
}

export function replyOf(answer: Answer): ChatReply {
  const { id, created, model, choices } = answer;
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: choices.map(({ reasoning, content, calls, finish }, index) => ({
      index,
      message: {
        role: "assistant",
        content: calls.length > 0 ? null : content.join(""),
        refusal: null,
        ...(reasoning.length > 0 && { reasoning_content: reasoning.join("") }),
        ...(calls.length > 0 && {
          tool_calls: calls.map((call) => ({
            id: call.id,
            type: "function",
            function: { name: call.name, arguments: call.arguments.join("") },
          })),
        }),
      },
      logprobs: null,
      finish_reason: finish,
    })),
    usage: usageOf(answer),
  };
}

/** The answer as OpenAI streams it, one token a chunk. */
export function* framesOf(answer: Answer, includeUsage: boolean, pace: Pace): Generator<Step> {
  // Written by hand: only what differs from chunk to chunk is serialised for each.
  const head = `data: ${JSON.stringify({ id: answer.id, object: "chat.completion.chunk", created: answer.created, model: answer.model }).slice(0, -1)}`;
  const tail = includeUsage ? `,"usage":null}\n\n` : "}\n\n";
  const chunk = (index: number, delta: string, finish: string) =>
    `${head},"choices":[{"index":${index},"delta":{${delta}},"logprobs":null,"finish_reason":${finish}}]${tail}`;

  for (const [index, { reasoning, content, calls, finish }] of answer.choices.entries()) {
    const token = (delta: string): Step => ({ text: chunk(index, delta, "null"), after: pace.perToken });
    const opening = calls.length > 0 ? "null" : `""`;
    yield { text: chunk(index, `"role":"assistant","content":${opening},"refusal":null`, "null"), after: index === 0 ? pace.latency : 0 };
    for (const piece of reasoning) yield token(`"reasoning_content":${JSON.stringify(piece)}`);
    for (const piece of content) yield token(`"content":${JSON.stringify(piece)}`);
    for (const [at, call] of calls.entries()) {
      const { id, name } = call;
      yield token(`"tool_calls":[${JSON.stringify({ index: at, id, type: "function", function: { name, arguments: "" } })}]`);
      for (const piece of call.arguments) yield token(`"tool_calls":[{"index":${at},"function":{"arguments":${JSON.stringify(piece)}}}]`);
    }
    yield { text: chunk(index, "", JSON.stringify(finish)), after: 0 };
  }
  if (includeUsage) yield { text: `${head},"choices":[],"usage":${JSON.stringify(usageOf(answer))}}\n\n`, after: 0 };
  yield { text: "data: [DONE]\n\n", after: 0 };
}

function usageOf(answer: Answer): WireUsage {
  const { completion, reasoning } = tokensOf(answer.choices);
  return {
    prompt_tokens: answer.promptTokens,
    completion_tokens: completion,
    total_tokens: answer.promptTokens + completion,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: reasoning },
  };
}
