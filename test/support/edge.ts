import { defineProvider, type GatewayConfig } from "headgate";
import { type AnswerDialect, answerIn, ScriptedUpstream, startGateway, type TestGateway } from "headgate/testing";
import { Pool } from "undici";
import { z } from "zod";
import type { Answered } from "./error-body.ts";

export const CHAT = "/v1/chat/completions";
export const MESSAGES = "/v1/messages";

/** A gateway before one scripted upstream, both on loopback and on real time, as a stranger on the network meets it. */
export interface Edge {
  readonly url: string;
  readonly port: number;
  readonly upstream: ScriptedUpstream;
  readonly gateway: TestGateway;
  post(path: string, body: string | Uint8Array | object, headers?: Record<string, string>): Promise<Answered>;
  get(path: string, headers?: Record<string, string>): Promise<Answered>;
  stop(): Promise<void>;
}

export interface EdgeOptions extends Partial<GatewayConfig> {
  /** The dialect of the scripted provider, whose one model is `m`. */
  readonly speaks?: AnswerDialect;
}

/** The model of every edge's scripted provider. */
export const MODEL = "scripted/m";

export async function startEdge({ speaks = "openai-chat", ...config }: EdgeOptions = {}): Promise<Edge> {
  const upstream = await ScriptedUpstream.start();
  upstream.always(answerIn(speaks, { text: "Hello to you" }));
  const gateway = await startGateway({ providers: [scripted("scripted", speaks, upstream.url)], plugins: [], ...config });
  const pool = new Pool(gateway.url, { connections: 64 });
  const send = async (method: "GET" | "POST", path: string, body: string | Uint8Array | null, headers: Record<string, string>) => {
    const { statusCode, headers: received, body: stream } = await pool.request({ method, path, body, headers });
    return { status: statusCode, headers: received as Record<string, string>, body: await stream.text() };
  };
  return {
    url: gateway.url,
    port: Number(new URL(gateway.url).port),
    upstream,
    gateway,
    post: (path, body, headers) => {
      const bytes = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
      return send("POST", path, bytes, { "content-type": "application/json", ...headers });
    },
    get: (path, headers = {}) => send("GET", path, null, headers),
    async stop() {
      await pool.destroy();
      await gateway.stop();
      await upstream.close();
    },
  };
}

/** A good chat request that both dialects take, with what `extra` adds or replaces. */
export function chat(extra: object = {}): object {
  return { model: MODEL, max_tokens: 100, messages: [{ role: "user", content: "Hi" }], ...extra };
}

/** The text of a good request as it goes over the wire, its head made of these lines. */
export function rawPost(body = JSON.stringify(chat()), path = CHAT, ...lines: readonly string[]): string {
  const head = [`POST ${path} HTTP/1.1`, "host: gateway", "content-type: application/json", `content-length: ${Buffer.byteLength(body)}`];
  return `${[...head, ...lines].join("\r\n")}\r\n\r\n${body}`;
}

/** A provider with one model, `m`. */
export function scripted(name: string, dialect: AnswerDialect, baseUrl: string) {
  const headers = () => ({ authorization: "Bearer sk-provider-secret" });
  return defineProvider({
    name,
    options: z.strictObject({}),
    setup: () => ({ name, dialect, baseUrl, headers, models: [{ id: "m" }] }),
  })();
}
