import Anthropic from "@anthropic-ai/sdk";
import { type Binding, defineProvider, type GatewayConfig } from "headgate";
import { type AnswerDialect, ScriptedUpstream, startGateway, type TestGateway } from "headgate/testing";
import OpenAI from "openai";
import { z } from "zod";

/** A provider is named like the dialect it speaks; all four stand on one scripted upstream. */
export const PROVIDERS = ["openai-chat", "anthropic-messages", "gemini", "cohere"] as const satisfies readonly AnswerDialect[];
export type Provider = (typeof PROVIDERS)[number];

const BASE_PATHS: Record<Provider, string> = { "openai-chat": "/v1", "anthropic-messages": "", gemini: "/v1beta", cohere: "" };

const MODELS = [{ id: "m" }, { id: "gemini-3-pro-preview" }, { id: "embed" }];

export interface Rig {
  readonly upstream: ScriptedUpstream;
  readonly gateway: TestGateway;
  /** What came back to the clients, in order: one for every request, retries included. */
  readonly responses: Response[];
  /** Both clients ask once, unless told otherwise. */
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
  /** For further clients; keeps `responses`. */
  readonly fetch: typeof globalThis.fetch;
  stop(): Promise<void>;
}

/** A running gateway between the official clients and a scripted upstream. */
export async function startRig(config: Partial<GatewayConfig> = {}, services: readonly Binding[] = []): Promise<Rig> {
  const upstream = await ScriptedUpstream.start();
  const scripted = (name: Provider) =>
    defineProvider({
      name,
      options: z.strictObject({}),
      setup: () => ({ name, dialect: name, baseUrl: upstream.url + BASE_PATHS[name], headers: () => ({}), models: MODELS }),
    })();
  const gateway = await startGateway({ plugins: [], ...config, providers: [PROVIDERS.map(scripted), config.providers] }, services);
  const responses: Response[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await globalThis.fetch(input, init);
    responses.push(response);
    return response;
  };
  const common = { apiKey: "sk-test", maxRetries: 0, fetch };
  return {
    upstream,
    gateway,
    responses,
    openai: new OpenAI({ ...common, baseURL: `${gateway.url}/v1` }),
    anthropic: new Anthropic({ ...common, baseURL: gateway.url }),
    fetch,
    async stop() {
      await gateway.stop();
      await upstream.close();
    },
  };
}

/** The body of the last request that the upstream got. */
export function lastSent({ upstream }: Rig): unknown {
  return upstream.calls.at(-1)?.json;
}
