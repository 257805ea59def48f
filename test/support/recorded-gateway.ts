import type { IncomingHttpHeaders } from "node:http";
import type { ChatChunk, Exchange, Next, Outcome } from "headgate";
import { anthropic, azure, cohere, gemini, groq, mistral, openai, openaiCompatible, simulator, xai } from "headgate/providers";
import { json, type Script, ScriptedUpstream, sse, startGateway, type UpstreamCall } from "headgate/testing";
import { Agent, request } from "undici";
import type { RecordedProvider, Recording } from "./recordings.ts";

export type Client = "openai-chat" | "anthropic-messages";
export const CLIENTS: readonly Client[] = ["openai-chat", "anthropic-messages"];

/** What a client got. */
export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** How the gateway booked it. */
  readonly outcome: Outcome;
}

export interface RecordedGateway {
  readonly url: string;
  /** Sends a call to the provider, which answers with `script`. */
  ask(client: Client, provider: RecordedProvider | "simulator", script: Script, options?: AskOptions): Promise<Received>;
  stop(): Promise<void>;
}

export interface AskOptions {
  readonly path?: string;
  /** One of its own, unless a model of the simulator's is asked for. */
  readonly model?: string;
  /** Asks for a stream, with its usage where the client's format lets one ask. */
  readonly stream?: boolean;
  readonly body?: object;
}

const PATHS = { "openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages" };

/** A gateway with every provider of the recordings, all of them played by one scripted upstream. With `rewrites`, a plugin replaces every answer by itself, so that the gateway has to write it anew. */
export async function startRecordedGateway({ rewrites = false } = {}): Promise<RecordedGateway> {
  const upstream = await ScriptedUpstream.start();
  const scripts = new Map<string, Script>();
  upstream.always((call) => (call.method === "GET" ? json({ data: [], models: [] }) : (scripts.get(modelOf(call)) ?? { status: 500 })));
  const settled = new Map<string, (outcome: Outcome) => void>();
  const books = (exchange: Exchange, next: Next) => {
    exchange.onSettled((outcome) => settled.get(exchange.requestedModel)?.(outcome));
    return next();
  };
  const at = { baseUrl: upstream.url, apiKey: "sk-recorded" };
  const gateway = await startGateway({
    providers: [
      openai(at),
      azure(at),
      openaiCompatible({ ...at, name: "openaiCompatible" }),
      groq(at),
      mistral(at),
      xai(at),
      anthropic(at),
      gemini(at),
      cohere(at),
      simulator({ speed: 0 }),
    ],
    plugins: [{ name: "books", handle: books }, rewrites && { name: "rewriter", handle: rewrite }],
  });
  const dispatcher = new Agent({ connections: 16 });
  let calls = 0;
  return {
    url: gateway.url,
    async ask(client, provider, script, options = {}) {
      calls += 1;
      const { path = PATHS[client], model = `recorded-${calls}`, stream = false, body = {} } = options;
      scripts.set(model, script);
      const outcome = new Promise<Outcome>((resolve) => settled.set(`${provider}/${model}`, resolve));
      const response = await request(gateway.url + path, {
        dispatcher,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: `${provider}/${model}`,
          ...(path !== "/v1/embeddings" && { messages: [{ role: "user", content: "?" }] }),
          ...(client === "anthropic-messages" && path === PATHS[client] && { max_tokens: 1000 }),
          ...(stream && { stream, ...(client === "openai-chat" && { stream_options: { include_usage: true } }) }),
          ...body,
        }),
      });
      const bytes = Buffer.from(await response.body.arrayBuffer());
      return { status: response.statusCode, headers: response.headers, body: bytes, text: bytes.toString(), outcome: await outcome };
    },
    async stop() {
      await dispatcher.destroy();
      await gateway.stop();
      await upstream.close();
    },
  };
}

/** The provider's answer as it was recorded, and the request that asks for it. */
export function replay(recording: Recording): { readonly script: Script; readonly options: AskOptions } {
  const { streamed, status, operation, wire } = recording;
  if (streamed) return { script: sse(wire), options: { stream: true } };
  const script = { status, headers: { "content-type": "application/json" }, body: Buffer.concat(wire) };
  return { script, options: operation === "count_tokens" ? { path: "/v1/messages/count_tokens" } : {} };
}

async function rewrite(exchange: Exchange, next: Next): Promise<void> {
  await next();
  const { reply } = exchange;
  if (reply?.kind === "json") reply.body = { ...reply.body };
  if (reply?.kind === "stream") reply.stream = passedOn(reply.stream);
}

async function* passedOn(stream: AsyncIterable<ChatChunk>): AsyncGenerator<ChatChunk> {
  yield* stream;
}

/** Gemini names the model in the path, the others in the body. */
function modelOf({ path, json: body }: UpstreamCall): string {
  const named = /\/models\/([^:]+):/.exec(path)?.[1];
  return named ?? String((body as { model?: unknown }).model);
}
