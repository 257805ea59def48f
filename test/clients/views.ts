import type Anthropic from "@anthropic-ai/sdk";
import type { Message, MessageCreateParamsNonStreaming } from "@anthropic-ai/sdk/resources/messages";
import type OpenAI from "openai";
import type { ChatCompletion, ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import type { Seen } from "./row.ts";

/** What the official clients make of an answer, asked for whole or as a stream. */

/** What OpenAI-compatible providers add to a message or its delta; the client hands it on untyped. */
interface Additions {
  readonly reasoning_content?: string;
  readonly reasoning_details?: readonly { readonly signature?: string }[];
}

export async function askOpenAi(client: OpenAI, body: ChatCompletionCreateParamsNonStreaming, streamed: boolean): Promise<Seen> {
  if (!streamed) {
    const completion = await client.chat.completions.create(body);
    return seenByOpenAi(completion, completion.choices[0]?.message as Additions);
  }
  let reasoning = "";
  let details: Additions["reasoning_details"];
  const stream = client.chat.completions.stream({ ...body, stream: true, stream_options: { include_usage: true } });
  stream.on("chunk", ({ choices }) => {
    const delta = (choices[0]?.delta ?? {}) as Additions;
    reasoning += delta.reasoning_content ?? "";
    details = delta.reasoning_details ?? details;
  });
  const completion = await stream.finalChatCompletion();
  return seenByOpenAi(completion, { reasoning_content: reasoning, ...(details && { reasoning_details: details }) });
}

function seenByOpenAi({ choices, usage }: ChatCompletion, additions: Additions): Seen {
  const [choice] = choices;
  if (!choice || !usage) throw new Error("an answer without choices or usage");
  return {
    text: choice.message.content ?? "",
    texts: choices.map(({ message }) => message.content ?? ""),
    thinking: additions.reasoning_content ?? "",
    signature: additions.reasoning_details?.[0]?.signature,
    calls: (choice.message.tool_calls ?? []).map((call) => {
      if (call.type !== "function") throw new Error(`a call of the type ${call.type}`);
      const { extra_content: extra } = call as { extra_content?: unknown };
      return { id: call.id, name: call.function.name, input: JSON.parse(call.function.arguments), ...(extra !== undefined && { extra }) };
    }),
    stop: choice.finish_reason,
    stopSequence: null,
    refusal: choice.message.refusal,
    logprobs: (choice.logprobs?.content ?? []).map(({ token, logprob, top_logprobs }) => ({
      token,
      logprob,
      top: top_logprobs.map((each) => each.token),
    })),
    usage: {
      input: usage.prompt_tokens,
      output: usage.completion_tokens,
      cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
      written: 0,
    },
  };
}

export async function askAnthropic(client: Anthropic, body: MessageCreateParamsNonStreaming, streamed: boolean): Promise<Seen> {
  return seenByAnthropic(streamed ? await client.messages.stream(body).finalMessage() : await client.messages.create(body));
}

function seenByAnthropic({ content, stop_reason, stop_sequence, usage }: Message): Seen {
  const text = content.map((block) => (block.type === "text" ? block.text : "")).join("");
  const thought = content.find((block) => block.type === "thinking");
  const cached = usage.cache_read_input_tokens ?? 0;
  const written = usage.cache_creation_input_tokens ?? 0;
  return {
    text,
    texts: [text],
    thinking: thought?.thinking ?? "",
    signature: thought?.signature,
    calls: content.flatMap((block) => (block.type === "tool_use" ? [{ id: block.id, name: block.name, input: block.input }] : [])),
    stop: stop_reason,
    stopSequence: stop_sequence,
    refusal: null,
    logprobs: [],
    usage: { input: usage.input_tokens + cached + written, output: usage.output_tokens, cached, written },
  };
}
