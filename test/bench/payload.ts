/** What is asked and answered. Every call carries a number that its answer repeats, so that an answer given to the wrong caller is noticed. */

export const MODEL = "gpt-4o-mini";
/** Frames of one stream that hold JSON; each is one write of the upstream, the terminator goes with the last. */
export const CHUNKS = 100;

const SYSTEM =
  "You are the assistant of a company that rents out cargo bicycles. Answer in plain words, at most two paragraphs, and name the price " +
  "when one is asked for. Never promise a delivery date. When you do not know, say so and offer to pass the question on to a colleague.";
const QUESTION =
  "Good morning! We are moving our bakery across town in the last week of the month and would like to do as much of it as we can by bicycle. " +
  "There are about forty crates of sixty by forty centimetres, two ovens that we know are too heavy, and a good many trays. Two of our people " +
  "have ridden such a bicycle before, the others have not. What would you suggest, how many should we take, and for how long? Is there a " +
  "discount for a whole week, and does somebody show the others how to ride one on the first day?";
const PROSE =
  "For forty crates of that size I would take three of the long bicycles for two days rather than one for the whole week: each carries four " +
  "crates at a time, so that ten trips move everything, and your two experienced riders can lead. The trays go well between the crates. A day " +
  "costs forty-five a bicycle, and from the third day on it is thirty, so a week comes to two hundred and forty each. The ovens do need a van. " +
  "On the first morning a colleague shows everybody how to load, to brake and to turn, which takes about half an hour and is part of the price.";
const WORDS = PROSE.split(/(?= )/).slice(0, CHUNKS - 4);
const USAGE = {
  prompt_tokens: 212,
  completion_tokens: 134,
  total_tokens: 346,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
};
const HEAD = { created: 1_795_000_000, model: `${MODEL}-2024-07-18`, service_tier: "default", system_fingerprint: "fp_0123456789" };

/** A chat request of about 1 KB. */
export function request(number: number, stream: boolean): string {
  return JSON.stringify({
    model: MODEL,
    messages: [
      { role: "system", content: SYSTEM },
      { role: "user", content: `${QUESTION} #${number}` },
    ],
    temperature: 0.7,
    max_tokens: 400,
    // Asked for by the client, so that every proxy passes on the same frames.
    ...(stream && { stream: true, stream_options: { include_usage: true } }),
  });
}

/** The number of a request that arrived whole, and whether it asks for a stream; null for any other. */
export function readRequest(body: string): { number: number; stream: boolean } | null {
  const { messages, stream } = JSON.parse(body) as { messages?: { content?: string }[]; stream?: boolean };
  const [system, user] = messages ?? [];
  const number = Number(user?.content?.slice(QUESTION.length + 2));
  if (system?.content !== SYSTEM || !user?.content?.startsWith(QUESTION) || !Number.isInteger(number)) return null;
  return { number, stream: stream === true };
}

/** The whole answer, about 1 KB of JSON. */
export function answer(number: number): string {
  return JSON.stringify({
    id: `chatcmpl-${number}`,
    object: "chat.completion",
    ...HEAD,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: text(number), refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    usage: USAGE,
  });
}

function text(number: number): string {
  return `${PROSE} #${number}`;
}

/** Whether a whole answer came through. JSON written anew is taken as well. */
export function isAnswer(body: string, number: number): boolean {
  if (body.includes(`"content":"${text(number)}"`) && body.includes('"total_tokens":346')) return true;
  const { choices, usage } = JSON.parse(body) as { choices: { message: { content: string } }[]; usage: { total_tokens: number } };
  return choices[0]?.message.content === text(number) && usage.total_tokens === USAGE.total_tokens;
}

/** The stream's writes: role, number, words, finish reason, and usage with the terminator. */
export function frames(number: number): string[] {
  const id = `chatcmpl-${number}`;
  const frame = (choices: unknown[], usage: unknown = null) =>
    `data: ${JSON.stringify({ id, object: "chat.completion.chunk", ...HEAD, choices, usage })}\n\n`;
  const choice = (delta: object, finish_reason: string | null = null) => [{ index: 0, delta, logprobs: null, finish_reason }];
  return [
    frame(choice({ role: "assistant", content: "", refusal: null })),
    frame(choice({ content: `#${number}` })),
    ...WORDS.map((content) => frame(choice({ content }))),
    frame(choice({}, "stop")),
    `${frame([], USAGE)}data: [DONE]\n\n`,
  ];
}

/** The text that a stream adds up to. */
export function streamedText(number: number): string {
  return `#${number}${WORDS.join("")}`;
}
