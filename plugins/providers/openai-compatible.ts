import { defineProvider, type Provider, type Secret, secret } from "headgate";
import { z } from "zod";
import { readOpenAiModels } from "./model-list.ts";
import { baseUrl, bearer, headers, headersOf, providerName } from "./options.ts";
import {
  developerIsSystem,
  limitIsMaxTokens,
  noReasoningInMessages,
  noStreamOptions,
  type Quirk,
  reasoningLimitIsMaxCompletionTokens,
  seedIsRandomSeed,
} from "./quirks.ts";

const DIALECT = "openai-chat";
const DISCOVERY = { path: "/models", read: readOpenAiModels } as const;

interface Options {
  readonly name: string;
  readonly baseUrl: string;
  readonly apiKey?: Secret | undefined;
  readonly headers: Readonly<Record<string, Secret>>;
}

/** Any server that speaks OpenAI's chat completions and embeddings; requests reach it as the client wrote them. */
export const openaiCompatible = defineProvider({
  name: "openai-compatible",
  options: z.strictObject({
    name: providerName(),
    /** With the version: what `/chat/completions` is appended to. */
    baseUrl: baseUrl(),
    apiKey: secret().optional(),
    headers: headers(),
  }),
  setup: (options) => provider(options, { discovery: DISCOVERY }),
});

function provider(options: Options, rest: Pick<Provider, "adapt" | "discovery" | "priceId">): Provider {
  return {
    name: options.name,
    dialect: DIALECT,
    baseUrl: options.baseUrl,
    headers: headersOf(bearer(options.apiKey), options.headers),
    ...rest,
  };
}

function adapting(quirks: readonly Quirk[]): NonNullable<Provider["adapt"]> {
  return (operation, body) => (operation === "chat" ? quirks.reduce((changed, quirk) => quirk(changed), body) : body);
}

interface Service<Key extends z.ZodType<Secret | undefined>> {
  readonly baseUrl: string;
  readonly apiKey: Key;
  readonly quirks?: readonly Quirk[];
  /** Its id in the price catalogue. */
  readonly priceId?: string;
  /** False where the list is not one of models that can be called, or not in OpenAI's form. */
  readonly discovers?: boolean;
}

/** A service by its name: the options of `openaiCompatible`, filled in. */
function service<Key extends z.ZodType<Secret | undefined>>(name: string, row: Service<Key>) {
  const { quirks = [], priceId, discovers = true } = row;
  return defineProvider({
    name,
    options: z.strictObject({
      name: providerName().default(name),
      baseUrl: baseUrl().default(row.baseUrl),
      apiKey: row.apiKey,
      headers: headers(),
    }),
    setup: (options) =>
      provider(options as Options, {
        ...(quirks.length > 0 && { adapt: adapting(quirks) }),
        ...(discovers && { discovery: DISCOVERY }),
        ...(priceId && { priceId }),
      }),
  });
}

const required = secret();
const optional = secret().optional();

export const openai = service("openai", {
  baseUrl: "https://api.openai.com/v1",
  apiKey: required,
  priceId: "openai",
  quirks: [reasoningLimitIsMaxCompletionTokens],
});

export const xai = service("xai", {
  baseUrl: "https://api.x.ai/v1",
  apiKey: required,
  priceId: "x-ai",
  quirks: [developerIsSystem],
});

export const groq = service("groq", {
  baseUrl: "https://api.groq.com/openai/v1",
  apiKey: required,
  priceId: "groq",
  quirks: [developerIsSystem, noReasoningInMessages],
});

export const mistral = service("mistral", {
  baseUrl: "https://api.mistral.ai/v1",
  apiKey: required,
  priceId: "mistral",
  quirks: [developerIsSystem, limitIsMaxTokens, seedIsRandomSeed, noStreamOptions, noReasoningInMessages],
});

export const deepseek = service("deepseek", {
  baseUrl: "https://api.deepseek.com/v1",
  apiKey: required,
  priceId: "deepseek",
  quirks: [developerIsSystem, limitIsMaxTokens],
});

export const openrouter = service("openrouter", {
  baseUrl: "https://openrouter.ai/api/v1",
  apiKey: required,
  priceId: "openrouter",
});

export const together = service("together", {
  baseUrl: "https://api.together.xyz/v1",
  apiKey: required,
  priceId: "together",
  quirks: [developerIsSystem, limitIsMaxTokens],
  // A bare list, not OpenAI's object.
  discovers: false,
});

export const ollama = service("ollama", {
  baseUrl: "http://127.0.0.1:11434/v1",
  apiKey: optional,
  quirks: [developerIsSystem, limitIsMaxTokens],
});

export const vllm = service("vllm", {
  baseUrl: "http://127.0.0.1:8000/v1",
  apiKey: optional,
  quirks: [developerIsSystem],
});
