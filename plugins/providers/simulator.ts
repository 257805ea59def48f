import {
  type ChatRequest,
  Clock,
  defineProvider,
  type EmbeddingsRequest,
  GatewayError,
  Ids,
  Random,
  Tokens,
  type UpstreamRequest,
  type UpstreamResponse,
} from "headgate";
import { z } from "zod";
import { framesOf, type Pace, replyOf } from "./simulator/answer.ts";
import { PacedBody, type Step } from "./simulator/body.ts";
import { choicesFor, tokensOf } from "./simulator/chat.ts";
import { embed } from "./simulator/embed.ts";
import { MODELS, type SimulatedModel } from "./simulator/models.ts";
import { Refusal } from "./simulator/refusal.ts";

const BASE_URL = "simulator:";

const share = z.number().min(0).max(1).default(0);

const options = z.strictObject({
  name: z.string().min(1).default("simulator"),
  /** Milliseconds to the first token; each model's own when left out. */
  latencyMs: z.number().min(0).max(3_600_000).optional(),
  /** Factor on each model's own speed; 0 answers as fast as possible, without the models' own latency. */
  speed: z.number().min(0).max(1_000).default(1),
  /** How often answers fail, as shares of all requests from 0 to 1; together at most 1. None by default. */
  failures: z
    .strictObject({
      /** Answered with `errorStatus` instead. */
      errors: share,
      errorStatus: z.int().min(400).max(599).default(503),
      /** Broken off after `cutAfter` chunks (a whole JSON answer is one chunk). */
      cuts: share,
      cutAfter: z.int().min(0).default(3),
      /** Silent after the headers, until the caller gives up. */
      hangs: share,
    })
    .refine(({ errors, cuts, hangs }) => errors + cuts + hangs <= 1, "errors, cuts and hangs together must be at most 1")
    .prefault({}),
});

/**
 * A provider inside the process: no key, no network, the same answer to the same request. It speaks OpenAI's format, and
 * what it says of tokens is true: a prompt is counted, an answer has as many tokens as pieces were sent.
 */
export const simulator = defineProvider({
  name: "simulator",
  options,
  inject: { clock: Clock, random: Random, ids: Ids, tokens: Tokens },
  setup: ({ name, latencyMs, speed, failures }, { clock, random, ids, tokens }) => {
    const paceOf = (model: SimulatedModel): Pace => ({
      latency: latencyMs ?? (speed === 0 ? 0 : model.latencyMs),
      perToken: speed === 0 ? 0 : 1_000 / (model.tokensPerSecond * speed),
    });

    const chat = (request: ChatRequest, model: SimulatedModel) => {
      const promptTokens = tokens.request(request, model.id).tokens;
      if (promptTokens > model.contextLength) {
        throw new Refusal(400, `${model.id} takes ${model.contextLength} tokens, but the messages have ${promptTokens}.`, {
          param: "messages",
          code: "context_length_exceeded",
        });
      }
      const created = Math.floor(clock.now().getTime() / 1_000);
      const answer = { id: ids.next("chatcmpl"), created, model: model.id, choices: choicesFor(request, model), promptTokens };
      const pace = paceOf(model);
      if (request.stream === true) {
        return { type: "text/event-stream; charset=utf-8", steps: framesOf(answer, request.stream_options?.include_usage === true, pace) };
      }
      return whole(replyOf(answer), pace.latency + pace.perToken * tokensOf(answer.choices).completion);
    };

    const answer = (request: UpstreamRequest) => {
      const path = request.url.slice(BASE_URL.length);
      if (request.method === "POST" && path === "/chat/completions") {
        const body = readBody<ChatRequest>(request);
        if (!Array.isArray(body.messages) || body.messages.length === 0) {
          throw new Refusal(400, "'messages' must be a list with at least one message.", { param: "messages" });
        }
        return chat(body, modelFor(body.model, "chat"));
      }
      if (request.method === "POST" && path === "/embeddings") {
        const body = readBody<EmbeddingsRequest>(request);
        const model = modelFor(body.model, "embeddings");
        return whole(embed(body, tokens), paceOf(model).latency);
      }
      throw new Refusal(404, "The simulator offers chat completions and embeddings.");
    };

    const misfortune = (): "error" | "cut" | "hang" | undefined => {
      const { errors, cuts, hangs } = failures;
      if (errors + cuts + hangs === 0) return undefined;
      const drawn = random.next();
      if (drawn < errors) return "error";
      if (drawn < errors + cuts) return "cut";
      return drawn < errors + cuts + hangs ? "hang" : undefined;
    };

    const respond = (status: number, type: string, steps: Iterator<Step>): UpstreamResponse => ({
      status,
      headers: { "content-type": type },
      body: new PacedBody(steps, clock),
    });

    return {
      name,
      dialect: "openai-chat",
      baseUrl: BASE_URL,
      models: MODELS.map(({ tokensPerSecond, latencyMs, sentences, ...info }) => info),
      headers: () => ({}),
      async send(request) {
        try {
          const failure = misfortune();
          if (failure === "error")
            throw new Refusal(failures.errorStatus, "The simulator was told to fail.", { code: "simulated_failure" });
          const { type, steps } = answer(request);
          if (failure === "hang") return respond(200, type, [{ text: "", after: Infinity }].values());
          return respond(200, type, failure === "cut" ? cut(steps, failures.cutAfter) : steps);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          return respond(error.status, "application/json", [{ text: error.body(), after: 0 }].values());
        }
      },
    };
  },
});

function whole(body: object, after: number): { type: string; steps: Iterator<Step> } {
  return { type: "application/json", steps: [{ text: JSON.stringify(body), after }].values() };
}

function* cut(steps: Iterator<Step>, after: number): Generator<Step> {
  for (let sent = 0; sent < after; sent++) {
    const { done, value } = steps.next();
    if (done) break;
    yield value;
  }
  throw new GatewayError("upstream_cut");
}

function readBody<T extends { readonly model: string }>(request: UpstreamRequest): T {
  const body: unknown = JSON.parse(request.body ?? "null");
  if (typeof body !== "object" || body === null) throw new Refusal(400, "The body must be a JSON object.");
  return body as T;
}

function modelFor(id: unknown, capability: "chat" | "embeddings"): SimulatedModel {
  const model = MODELS.find((each) => each.id === id);
  if (!model) throw new Refusal(404, `The model '${String(id)}' does not exist.`, { param: "model", code: "model_not_found" });
  if (!model.capabilities.includes(capability)) {
    throw new Refusal(400, `${model.id} does not offer ${capability}.`, { param: "model", code: "unsupported_operation" });
  }
  return model;
}
