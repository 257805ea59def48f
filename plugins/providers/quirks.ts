import type { JsonObject } from "headgate";

/** Where services differ from OpenAI's chat format. Each takes a finished chat request and returns it changed, or as it was. */
export type Quirk = (body: JsonObject) => JsonObject;

/** The service does not know `max_completion_tokens`: it rejects it, or ignores it and answers without limit. */
export const limitIsMaxTokens: Quirk = (body) => renamed(body, "max_completion_tokens", "max_tokens");

/** OpenAI's reasoning models reject `max_tokens`. */
export const reasoningLimitIsMaxCompletionTokens: Quirk = (body) => {
  const reasons = typeof body.model === "string" && /^(?:o\d|gpt-[5-9])/.test(body.model);
  return reasons ? renamed(body, "max_tokens", "max_completion_tokens") : body;
};

/** The service has no `developer` role; for it `system` says the same. */
export const developerIsSystem: Quirk = (body) =>
  mapMessages(body, (message) => (message.role === "developer" ? { ...message, role: "system" } : message));

/** The service rejects reasoning in earlier messages. */
export const noReasoningInMessages: Quirk = (body) =>
  mapMessages(body, (message) => {
    if (message.reasoning_content === undefined) return message;
    const { reasoning_content: _, ...rest } = message;
    return rest;
  });

/** The service always states a stream's usage and rejects being asked for it. */
export const noStreamOptions: Quirk = (body) => {
  if (body.stream_options === undefined) return body;
  const { stream_options: _, ...rest } = body;
  return rest;
};

/** Mistral's own name. */
export const seedIsRandomSeed: Quirk = (body) => renamed(body, "seed", "random_seed");

/** When both names are there, the one the service knows stays. */
function renamed(body: JsonObject, from: string, to: string): JsonObject {
  const { [from]: value, ...rest } = body;
  if (value === undefined) return body;
  return { [to]: value, ...rest };
}

function mapMessages(body: JsonObject, change: (message: JsonObject) => JsonObject): JsonObject {
  const { messages } = body;
  if (!Array.isArray(messages)) return body;
  return { ...body, messages: (messages as JsonObject[]).map(change) };
}
