import { findProvider } from "@pydantic/genai-prices";
import type { JsonObject, Provider, ProviderEntry } from "headgate";
import { ConfigError, resolveConfig, Secret } from "headgate";
import { describe, expect, it } from "vitest";
import {
  anthropic,
  azure,
  cohere,
  deepseek,
  gemini,
  groq,
  mistral,
  ollama,
  openai,
  openaiCompatible,
  openrouter,
  together,
  vllm,
  xai,
} from "./index.ts";

function build({ definition, options }: ProviderEntry): Provider {
  return definition.setup(definition.options.parse(options), {});
}

const KEY = "sk-test-0123456789";

const KEYED = { openai, xai, groq, mistral, deepseek, openrouter, together, anthropic, gemini, cohere };

describe("every provider", () => {
  const entries = [
    ...Object.values(KEYED).map((factory) => factory({ apiKey: KEY })),
    azure({ baseUrl: "https://unit.openai.azure.com", apiKey: KEY }),
    ollama(),
    vllm(),
    openaiCompatible({ name: "own", baseUrl: "http://10.0.0.7/v1" }),
  ];

  it.each(entries.map((entry) => [build(entry).name, entry] as const))("%s boots with its defaults", (name, entry) => {
    const provider = build(entry);
    expect(provider.baseUrl).toMatch(/^https?:\/\/.*[^/]$/);
    expect(provider.name).toBe(name);
    for (const header of Object.keys(provider.headers())) expect(header).toBe(header.toLowerCase());
  });

  it.each(entries.map((entry) => [build(entry).name, entry] as const))("%s refuses an option it does not know", (_, entry) => {
    const options = { ...(entry.options as object), apikey: "x" };
    expect(() => build({ ...entry, options })).toThrow(/apikey/);
  });

  it.each(entries.map((entry) => [build(entry).name, entry] as const))("%s gives headers that nobody else holds", (_, entry) => {
    const provider = build(entry);
    const first = provider.headers();
    first["x-changed"] = "yes";
    expect(provider.headers()).not.toHaveProperty("x-changed");
  });

  it.each(entries.map((entry) => [build(entry).name, entry] as const))("%s never prints its key", (_, entry) => {
    const options = entry.definition.options.parse({ ...(entry.options as object), headers: { "X-Extra": KEY } });
    expect(JSON.stringify(options)).not.toContain(KEY);
  });

  it.each(entries.map((entry) => [build(entry).name, entry] as const))("%s reads a strange model list without failing", (_, entry) => {
    const { discovery } = build(entry);
    const strange: JsonObject[] = [
      {},
      { data: null, models: "many" },
      { data: [null, 7, "x", [], {}], models: [null, { name: 4 }] },
      {
        data: [{ id: "" }, { id: "kept", context_length: -1, capabilities: [], supported_parameters: {} }],
        models: [{ name: "models/kept" }],
      },
    ];
    for (const body of strange) for (const model of discovery?.read(body) ?? []) expect(model.id).toMatch(/kept$/);
  });

  it("keeps two providers of one kind apart by name", () => {
    const { providers } = resolveConfig({ plugins: [], providers: [ollama({ name: "left" }), ollama({ name: "right" })] });
    expect(providers).toHaveLength(2);
  });
});

describe("keys and headers", () => {
  const keys: Record<string, (value: string) => JsonObject> = {
    anthropic: (value) => ({ "x-api-key": value, "anthropic-version": "2023-06-01" }),
    gemini: (value) => ({ "x-goog-api-key": value }),
  };

  it.each(Object.entries(KEYED))("%s sends its key where the service wants it", (name, factory) => {
    const expected = keys[name]?.(KEY) ?? { authorization: `Bearer ${KEY}` };
    expect(build(factory({ apiKey: new Secret(KEY) })).headers()).toEqual(expected);
  });

  it("sends no authorization to a local server without a key", () => {
    expect(build(ollama()).headers()).toEqual({});
    expect(build(vllm({ apiKey: "local" })).headers()).toEqual({ authorization: "Bearer local" });
  });

  it("puts configured headers over its own", () => {
    const provider = build(openai({ apiKey: KEY, headers: { Authorization: new Secret("Custom 1"), "OpenAI-Project": "p1" } }));
    expect(provider.headers()).toEqual({ authorization: "Custom 1", "openai-project": "p1" });
  });

  it("says what a config leaves out, and shows no key", () => {
    const config = { plugins: [], providers: [openai({} as never), groq({ apiKey: KEY, baseURL: "https://x" } as never)] };
    const report = mistakesOf(() => resolveConfig(config));
    expect(report).toContain("apiKey");
    expect(report).toContain("baseUrl");
    expect(report).not.toContain(KEY);
  });
});

function mistakesOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return JSON.stringify(error.mistakes);
    throw error;
  }
  return "";
}

describe("base URLs", () => {
  it("lose the slashes at their end", () => {
    expect(build(openaiCompatible({ name: "own", baseUrl: "https://llm.example/v1//" })).baseUrl).toBe("https://llm.example/v1");
  });

  it.each([
    "llm.example/v1",
    "ftp://llm.example",
    "https://user:word@llm.example",
    "https://llm.example?key=1",
    "https://llm.example/#x",
    "",
    "file:///etc/passwd",
  ])("refuse %j", (baseUrl) => {
    expect(() => build(openai({ apiKey: KEY, baseUrl }))).toThrow();
  });

  it("refuse a name that would not read back from provider/model", () => {
    expect(() => build(ollama({ name: "a/b" }))).toThrow();
  });
});

describe("azure", () => {
  const resource = "https://unit.openai.azure.com";

  it.each([resource, `${resource}/`, `${resource}/openai`, `${resource}/openai/v1/`])("finds the v1 API at %s", (baseUrl) => {
    const provider = build(azure({ baseUrl, apiKey: KEY }));
    expect(provider.baseUrl).toBe(`${resource}/openai/v1`);
    expect(provider.path).toBeUndefined();
    expect(provider.headers()).toEqual({ "api-key": KEY });
  });

  it("puts the deployment into the path for a dated version", () => {
    const provider = build(azure({ baseUrl: resource, apiKey: KEY, apiVersion: "2024-10-21" }));
    const { path } = provider;
    expect(provider.baseUrl + path?.("chat", "my gpt", true)).toBe(
      `${resource}/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21`,
    );
    expect(path?.("embeddings", "e", false)).toBe("/deployments/e/embeddings?api-version=2024-10-21");
    expect(path?.("count_tokens", "e", false)).toBeNull();
  });
});

describe("what services want different", () => {
  const messages = [
    { role: "developer", content: "be brief" },
    { role: "assistant", content: "hm", reasoning_content: "thinking" },
  ];
  const adapt = (entry: ProviderEntry, body: JsonObject) => build(entry).adapt?.("chat", body) ?? body;

  it("leaves a request to an unknown server as the client wrote it", () => {
    expect(build(openaiCompatible({ name: "own", baseUrl: "http://10.0.0.7/v1" })).adapt).toBeUndefined();
  });

  it.each(["o3-mini", "gpt-5.1", "gpt-6"])("names the limit for %s as OpenAI's reasoning models want it", (model) => {
    expect(adapt(openai({ apiKey: KEY }), { model, max_tokens: 5 })).toEqual({ model, max_completion_tokens: 5 });
  });

  it("leaves older OpenAI models their name for it", () => {
    expect(adapt(openai({ apiKey: KEY }), { model: "gpt-4o", max_tokens: 5 })).toEqual({ model: "gpt-4o", max_tokens: 5 });
  });

  it.each([mistral({ apiKey: KEY }), deepseek({ apiKey: KEY }), together({ apiKey: KEY }), ollama()])(
    "gives the limit to services that know only the old name",
    (entry) => {
      expect(adapt(entry, { max_completion_tokens: 5 })).toEqual({ max_tokens: 5 });
      expect(adapt(entry, { max_completion_tokens: 5, max_tokens: 7 })).toEqual({ max_tokens: 7 });
    },
  );

  it.each([
    xai({ apiKey: KEY }),
    groq({ apiKey: KEY }),
    mistral({ apiKey: KEY }),
    deepseek({ apiKey: KEY }),
    together({ apiKey: KEY }),
    ollama(),
    vllm(),
  ])("calls the developer system where there is no such role", (entry) => {
    expect(adapt(entry, { messages })).toMatchObject({ messages: [{ role: "system", content: "be brief" }, { role: "assistant" }] });
  });

  it("sends Mistral only what it takes", () => {
    const body = { model: "m", messages, seed: 4, stream: true, stream_options: { include_usage: true } };
    expect(adapt(mistral({ apiKey: KEY }), body)).toEqual({
      model: "m",
      stream: true,
      random_seed: 4,
      messages: [
        { role: "system", content: "be brief" },
        { role: "assistant", content: "hm" },
      ],
    });
    expect(body).toMatchObject({ seed: 4, messages });
  });

  it("keeps reasoning for DeepSeek, which wants it back between tool calls", () => {
    expect(adapt(deepseek({ apiKey: KEY }), { messages })).toMatchObject({ messages: [{}, { reasoning_content: "thinking" }] });
  });

  it("leaves embeddings alone", () => {
    const body = { model: "m", input: "x", seed: 1 };
    expect(build(mistral({ apiKey: KEY })).adapt?.("embeddings", body)).toBe(body);
  });
});

describe("model lists", () => {
  const read = (entry: ProviderEntry, body: JsonObject) => build(entry).discovery?.read(body);

  it("reads OpenAI's, which names nothing but ids", () => {
    expect(read(openai({ apiKey: KEY }), { data: [{ id: "gpt-4o", object: "model" }] })).toEqual([{ id: "gpt-4o" }]);
  });

  it("reads what OpenRouter, Groq, Mistral and vLLM add", () => {
    const data = [
      {
        id: "a/b",
        name: "B",
        context_length: 1000,
        top_provider: { max_completion_tokens: 100 },
        architecture: { input_modalities: ["text", "image"] },
        supported_parameters: ["tools", "structured_outputs", "reasoning"],
      },
      { id: "g", context_window: 2000, max_completion_tokens: 200 },
      { id: "m", max_context_length: 3000, capabilities: { completion_chat: true, function_calling: true, vision: false } },
      { id: "v", max_model_len: 4000 },
    ];
    expect(read(openrouter({ apiKey: KEY }), { data })).toEqual([
      {
        id: "a/b",
        name: "B",
        contextLength: 1000,
        maxOutput: 100,
        capabilities: ["chat", "tools", "vision", "json_schema", "reasoning"],
      },
      { id: "g", contextLength: 2000, maxOutput: 200 },
      { id: "m", contextLength: 3000, capabilities: ["chat", "tools"] },
      { id: "v", contextLength: 4000 },
    ]);
  });

  it("reads Anthropic's, Gemini's and Cohere's", () => {
    expect(
      read(anthropic({ apiKey: KEY }), { data: [{ id: "claude", display_name: "Claude", max_input_tokens: 9, max_tokens: 3 }] }),
    ).toEqual([{ id: "claude", name: "Claude", contextLength: 9, maxOutput: 3, capabilities: ["chat"] }]);
    const models = [
      { name: "models/gemini-x", displayName: "X", inputTokenLimit: 9, supportedGenerationMethods: ["generateContent"], thinking: true },
    ];
    expect(read(gemini({ apiKey: KEY }), { models })).toEqual([
      { id: "gemini-x", name: "X", contextLength: 9, capabilities: ["chat", "reasoning"] },
    ]);
    expect(
      read(cohere({ apiKey: KEY }), { models: [{ name: "command", endpoints: ["chat"], context_length: 9, features: ["tools", "x"] }] }),
    ).toEqual([{ id: "command", contextLength: 9, capabilities: ["chat", "tools"] }]);
  });

  it("names catalogue ids that the price catalogue knows", () => {
    const priced = [
      ...Object.values(KEYED).map((factory) => factory({ apiKey: KEY })),
      azure({ baseUrl: "https://u.example", apiKey: KEY }),
    ];
    for (const entry of priced) {
      const { priceId } = build(entry);
      expect(priceId && findProvider({ providerId: priceId })?.id).toBe(priceId);
    }
  });
});
