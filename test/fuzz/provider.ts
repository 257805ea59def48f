import { type AnswerDialect, answerIn, json, type Responder, type UpstreamCall } from "headgate/testing";

/** A provider of this dialect that is content with whatever it is asked, but gives one answer at a time. */
export function takesAll(dialect: AnswerDialect): Responder {
  const chat = answerIn(dialect, { text: "Hello to you", reasoning: "Well", toolCalls: [{ name: "f", arguments: { a: 1 } }] });
  return (call) => {
    if (/count_?tokens/i.test(call.path)) return json({ input_tokens: 5, totalTokens: 5 });
    if (/embed/i.test(call.path)) return json(embeddings(dialect, call));
    if (candidates(call) > 1)
      return json({ error: { code: 400, message: "One candidate at most.", status: "INVALID_ARGUMENT" } }, { status: 400 });
    return chat(call);
  };
}

function candidates({ json: asked }: UpstreamCall): number {
  return (asked as { generationConfig?: { candidateCount?: number } }).generationConfig?.candidateCount ?? 1;
}

function embeddings(dialect: AnswerDialect, { json: asked }: UpstreamCall): object {
  if (dialect === "gemini") return { embeddings: (asked as { requests: unknown[] }).requests.map(() => ({ values: [0.5] })) };
  if (dialect === "cohere") return { embeddings: { float: (asked as { texts: unknown[] }).texts.map(() => [0.5]) } };
  const data = [{ object: "embedding", index: 0, embedding: [0.5] }];
  return { object: "list", data, model: "m", usage: { prompt_tokens: 1, total_tokens: 1 } };
}
