import type { GatewayConfig } from "headgate";
import { rateLimit } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { afterEach, expect } from "vitest";
import { asCaller } from "./caller.ts";
import { type RedisServer, startRedis } from "./redis.ts";

/** What the test started, ended with it, latest first. */
export const running: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each.stop();
});

type Options = NonNullable<Parameters<typeof rateLimit>[0]>;
type Limits = NonNullable<Options["limits"]>;

export function limited(limits: Limits, config: Partial<GatewayConfig> = {}, more: Options = {}): GatewayConfig {
  return {
    providers: [simulator({ speed: 0 })],
    models: { fast: "simulator/sim-small" },
    ...config,
    plugins: [asCaller(), rateLimit({ limits, ...more }), config.plugins],
  };
}

export async function start(limits: Limits, config: Partial<GatewayConfig> = {}, more: Options = {}): Promise<TestGateway> {
  const gateway = await startGateway(limited(limits, config, more));
  running.push(gateway);
  return gateway;
}

export async function redis(): Promise<RedisServer> {
  const server = await startRedis();
  running.push(server);
  return server;
}

const BODY = { model: "fast", max_tokens: 20, messages: [{ role: "user", content: "Hi" }] };

export interface Asking {
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: object;
  readonly signal?: AbortSignal;
}

export async function ask(url: string, { path = "/v1/chat/completions", headers = {}, body = {}, signal }: Asking = {}) {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ ...BODY, ...body }),
    ...(signal && { signal }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Asks so many times at once, of each in turn; how many were let in, and nobody may be failed. */
export async function passed(urls: readonly string[], count: number, body: object = {}): Promise<number> {
  const answers = await Promise.all(Array.from({ length: count }, (_, n) => ask(urls[n % urls.length] as string, { body })));
  expect(answers.filter(({ status }) => status !== 200 && status !== 429)).toEqual([]);
  return answers.filter(({ status }) => status === 200).length;
}
