import fc from "fast-check";
import { chatRequests, embeddingsRequests } from "../support/arbitrary-request.ts";
import { messages, messagesWithTools } from "./anthropic.ts";
import { CHAT_MODELS, chat, chatWithTools, embeddings } from "./openai.ts";
import { type Any, junk, NAMES } from "./pieces.ts";

/** One POST as it goes over the wire. */
export interface FuzzedRequest {
  readonly path: string;
  readonly body: string;
}

const CHAT = "/v1/chat/completions";
const MESSAGES = "/v1/messages";
const COUNT = "/v1/messages/count_tokens";
const EMBEDDINGS = "/v1/embeddings";

const stringify = (value: unknown) => JSON.stringify(value) ?? "null";
const at = (weight: number, path: string, bodies: Any) => ({
  weight,
  arbitrary: bodies.map((body): FuzzedRequest => ({ path, body: stringify(body) })),
});

const written = fc.oneof(
  at(4, CHAT, chat),
  at(1, CHAT, chatWithTools),
  at(
    1,
    CHAT,
    fc.tuple(chatRequests, fc.constantFrom(...CHAT_MODELS)).map(([request, model]) => ({ ...request, model })),
  ),
  at(4, MESSAGES, messages),
  at(1, MESSAGES, messagesWithTools),
  at(1, COUNT, messages),
  at(1, EMBEDDINGS, embeddings),
  at(
    1,
    EMBEDDINGS,
    embeddingsRequests.map((request) => ({ ...request, model: "sim-embed" })),
  ),
);

/** A request of the grammar with one value in its tree replaced, taken out, doubled or wrapped, wherever it stands. */
const mutated = fc
  .tuple(written, fc.nat(), fc.constantFrom<Mutation>("replace", "remove", "double", "wrap"), junk)
  .map(([{ path, body }, place, how, other]) => ({ path, body: stringify(mutate(JSON.parse(body), place, how, other)) }));

/** A request of the grammar whose text was damaged, so that it may be no JSON any more. */
const damaged = fc
  .tuple(written, fc.nat(), fc.nat({ max: 3 }), fc.string({ maxLength: 3 }))
  .map(([{ path, body }, place, length, more]) => {
    const from = place % (body.length + 1);
    return { path, body: body.slice(0, from) + more + body.slice(from + length) };
  });

const fields = fc.constantFrom(...NAMES, "messages", "tools", "input", "max_tokens", "stream");
const anything = fc.record({
  path: fc.constantFrom(CHAT, MESSAGES, COUNT, EMBEDDINGS),
  body: fc.oneof(fc.json(), fc.object({ key: fields, maxDepth: 3 }).map(stringify), fc.string()),
});

/** A request that some client, or someone who is none, might send. */
export const requests: fc.Arbitrary<FuzzedRequest> = fc.oneof(
  { weight: 8, arbitrary: written },
  { weight: 3, arbitrary: mutated },
  { weight: 1, arbitrary: damaged },
  { weight: 1, arbitrary: anything },
);

type Mutation = "replace" | "remove" | "double" | "wrap";
type Slot = readonly [owner: Record<string, unknown>, key: string];

/** Changes the freshly parsed `value` in one place. */
function mutate(value: unknown, place: number, how: Mutation, other: unknown): unknown {
  const slots = slotsOf(value);
  const slot = slots[place % (slots.length || 1)];
  if (!slot) return other;
  const [owner, key] = slot;
  const own = owner[key];
  if (how === "remove") delete owner[key];
  else if (how === "double") owner[key] = Array.isArray(own) ? [...own, ...own] : [own, own];
  else if (how === "wrap") owner[key] = { [NAMES[place % NAMES.length] as string]: own };
  else owner[key] = other;
  return value;
}

function slotsOf(node: unknown): Slot[] {
  if (typeof node !== "object" || node === null) return [];
  const owner = node as Record<string, unknown>;
  return Object.keys(owner).flatMap((key): Slot[] => [[owner, key], ...slotsOf(owner[key])]);
}
