import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject, Usage } from "../dialects/canonical.ts";
import { GatewayError } from "../errors.ts";
import type { ModelInfo, Provider } from "../provider.ts";
import { FakeClock } from "../testing/clock.ts";
import { FakeLogger } from "../testing/services.ts";
import { type CatalogueOptions, createCatalogue } from "./catalogue.ts";

const USAGE: Usage = { inputTokens: 1_000, outputTokens: 100, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

const provider = (name: string, more: Partial<Provider> = {}): Provider => ({
  name,
  dialect: "openai-chat",
  baseUrl: `https://${name}.example`,
  headers: () => ({}),
  ...more,
});
const simulator = provider("simulator", {
  models: [
    { id: "sim-small", price: { input: 400, output: 1_600 }, contextLength: 8_192, capabilities: ["chat"] },
    { id: "sim-large", price: { input: 3_000, output: 15_000 }, contextLength: 8_192, capabilities: ["chat"] },
  ],
});
const listing = {
  path: "/models",
  read: (body: JsonObject) => (body.data as unknown as ModelInfo[]).map((model) => model),
};
const openrouter = provider("openrouter", { discovery: listing, priceId: "nothing" });

function setUp(options: Partial<CatalogueOptions> = {}) {
  const clock = new FakeClock();
  const logger = new FakeLogger();
  const http = async () => ({ data: [] });
  const catalogue = createCatalogue({ providers: [simulator], aliases: {}, prices: {}, http, clock, logger, ...options });
  return { catalogue, clock, logger };
}

function refusal(work: () => unknown): GatewayError {
  try {
    work();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("resolving a model's name", () => {
  it("takes an alias for its targets in order, before anything else", () => {
    const { catalogue } = setUp({
      providers: [simulator, provider("openai")],
      aliases: { fast: ["simulator/sim-small", "openai/gpt-5"], "simulator/sim-large": "sim-small", plain: "sim-large" },
    });
    expect(catalogue.resolve("fast")).toEqual([
      { provider: "simulator", model: "sim-small" },
      { provider: "openai", model: "gpt-5" },
    ]);
    expect(catalogue.resolve("fast")).toBe(catalogue.resolve("fast"));
    expect(catalogue.resolve("simulator/sim-large")).toEqual([{ provider: "simulator", model: "sim-small" }]);
    expect(catalogue.resolve("plain")).toEqual([{ provider: "simulator", model: "sim-large" }]);
    expect(catalogue.aliases()).toEqual(["fast", "simulator/sim-large", "plain"]);
  });

  it("takes provider/model at its word where the provider's list is open", () => {
    const { catalogue } = setUp({ providers: [provider("openai"), openrouter] });
    expect(catalogue.resolve("openai/gpt-of-tomorrow")).toEqual([{ provider: "openai", model: "gpt-of-tomorrow" }]);
    expect(catalogue.resolve("openrouter/meta-llama/llama-3")).toEqual([{ provider: "openrouter", model: "meta-llama/llama-3" }]);
  });

  it("finds a plain id, slashes or not, at the first provider in config order that lists it", async () => {
    const data = [{ id: "meta-llama/llama-3" }, { id: "gpt-4o" }];
    const { catalogue, clock } = setUp({ providers: [openrouter, provider("openai"), simulator], http: async () => ({ data }) });
    expect(catalogue.resolve("gpt-4o")).toEqual([{ provider: "openai", model: "gpt-4o" }]);
    catalogue.start();
    await clock.advance(1);
    expect(catalogue.resolve("gpt-4o")).toEqual([{ provider: "openrouter", model: "gpt-4o" }]);
    expect(catalogue.resolve("meta-llama/llama-3")).toEqual([{ provider: "openrouter", model: "meta-llama/llama-3" }]);
    expect(catalogue.resolve("sim-large")).toEqual([{ provider: "simulator", model: "sim-large" }]);
    catalogue.stop();
  });

  it("refuses what nobody lists, with the nearest name", () => {
    const { catalogue } = setUp({ aliases: { default: "simulator/sim-small" } });
    const cases = { "sim-lrage": "sim-large", "simulator/sim-smal": "simulator/sim-small", defualt: "default", SIM_LARGE: "sim-large" };
    for (const [name, near] of Object.entries(cases)) {
      const error = refusal(() => catalogue.resolve(name));
      expect(error).toMatchObject({ code: "model_not_found", status: 404, param: "model" });
      expect(error.message).toBe(`There is no model "${name}". Did you mean "${near}"?`);
    }
    expect(refusal(() => catalogue.resolve("something entirely different")).message).toBe(
      'There is no model "something entirely different".',
    );
    expect(refusal(() => catalogue.resolve("x".repeat(100_000))).message.length).toBeLessThan(120);
  });

  it("leaves a target out of an alias when nobody offers it, and says so", () => {
    const { catalogue, logger } = setUp({ aliases: { a: ["simulator/gone", "simulator/sim-small"], b: "nowhere/x" } });
    expect(catalogue.resolve("a")).toEqual([{ provider: "simulator", model: "sim-small" }]);
    expect(refusal(() => catalogue.resolve("b")).code).toBe("model_not_found");
    expect(logger.lines.map(({ fields }) => fields)).toEqual([
      { alias: "a", target: "simulator/gone" },
      { alias: "b", target: "nowhere/x" },
    ]);
  });

  it("either finds a provider of the config or refuses, whatever the name", () => {
    const providers = [simulator, provider("openai"), openrouter];
    const { catalogue } = setUp({ providers, aliases: { fast: "openai/gpt-5" } });
    const word = fc.constantFrom(
      "simulator",
      "openai",
      "sim-small",
      "gpt-4o",
      "/",
      "fast",
      "__proto__",
      "constructor",
      "hasOwnProperty",
      "",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 300 }),
          fc.array(word).map((words) => words.join("")),
          fc.array(word).map((words) => words.join("/")),
        ),
        (name) => {
          let targets: ReturnType<typeof catalogue.resolve>;
          try {
            targets = catalogue.resolve(name);
          } catch (error) {
            expect(error).toMatchObject({ code: "model_not_found", param: "model" });
            return;
          }
          expect(targets.length).toBeGreaterThan(0);
          for (const target of targets) {
            expect(catalogue.providers()).toContain(target.provider);
            expect(catalogue.resolve(`${target.provider}/${target.model}`)).toEqual([target]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("finds again whatever it lists", () => {
    const { catalogue } = setUp({ providers: [simulator, provider("openai"), provider("anthropic")] });
    expect(catalogue.models().length).toBeGreaterThan(100);
    for (const { provider, id } of catalogue.models()) {
      expect(catalogue.resolve(`${provider}/${id}`)).toEqual([{ provider, model: id }]);
      expect(catalogue.resolve(id)).toHaveLength(1);
      expect(catalogue.find({ provider, model: id })).toMatchObject({ provider, id });
    }
    expect(catalogue.find({ provider: "__proto__", model: "__proto__" })).toBeUndefined();
  });

  it("takes little time to refuse 1,000 made-up names, and keeps none of them", () => {
    const { catalogue } = setUp({ providers: [provider("openrouter"), provider("openai")] });
    const before = catalogue.models().length;
    const start = performance.now();
    for (let index = 0; index < 1_000; index++) refusal(() => catalogue.resolve(`meta-llama/llama-${index * 7_919}-instruct-x`));
    expect((performance.now() - start) / 1_000).toBeLessThan(3);
    for (let index = 0; index < 10_000; index++) catalogue.cost({ provider: "openai", model: `name-${index}` }, USAGE);
    for (let index = 0; index < 10_000; index++) catalogue.resolve(`openai/name-${index}`);
    expect(catalogue.models()).toHaveLength(before);
    expect(catalogue.find({ provider: "openai", model: "name-1" })).toBeUndefined();
  });
});

describe("what a call costs", () => {
  it("follows the config, then the provider's own price, then the price catalogue", () => {
    const { catalogue } = setUp({
      providers: [simulator, provider("openai"), provider("mine", { priceId: "anthropic" })],
      prices: { "simulator/sim-large": { input: 1, output: 2 }, "openai/gpt-of-tomorrow": { input: 5, output: 5, cachedInput: 1 } },
    });
    expect(catalogue.cost({ provider: "simulator", model: "sim-large" }, USAGE)).toBe(1_000_000 + 200_000);
    expect(catalogue.cost({ provider: "simulator", model: "sim-small" }, USAGE)).toBe(400_000 + 160_000);
    expect(catalogue.cost({ provider: "openai", model: "gpt-4o" }, USAGE)).toBe(2_500_000 + 1_000_000);
    expect(catalogue.cost({ provider: "openai", model: "gpt-of-tomorrow" }, { ...USAGE, cachedTokens: 500 })).toBe(
      2_500_000 + 500_000 + 500_000,
    );
    expect(catalogue.cost({ provider: "mine", model: "claude-sonnet-4-20250514" }, USAGE)).toBe(3_000_000 + 1_500_000);
    expect(catalogue.models().find(({ id }) => id === "sim-large")?.price).toEqual({ input: 1_000, output: 2_000 });
  });

  it("is null when nobody knows the price", () => {
    const { catalogue } = setUp({ providers: [provider("ollama"), provider("my-openai-proxy")] });
    for (const provider of ["ollama", "my-openai-proxy", "nobody"]) expect(catalogue.cost({ provider, model: "gpt-4o" }, USAGE)).toBeNull();
  });
});

describe("providers' own lists", () => {
  it("are fetched at the start and hourly, replace what was guessed, and are filled in from the price catalogue", async () => {
    const openai = provider("openai", { discovery: listing, models: [{ id: "gpt-4o", tier: "standard" }] });
    let data: JsonObject[] = [{ id: "gpt-4o" }, { id: "gpt-4o-mini", contextLength: 5 }];
    let asked = 0;
    const http = async () => {
      asked += 1;
      return { data };
    };
    const { catalogue, clock } = setUp({ providers: [openai], http });
    expect(catalogue.models().length).toBeGreaterThan(50);
    catalogue.start();
    await clock.advance(1);
    expect(catalogue.models()).toHaveLength(2);
    expect(catalogue.find({ provider: "openai", model: "gpt-4o" })).toMatchObject({
      contextLength: 128_000,
      price: { input: 2_500, output: 10_000 },
      tier: "standard",
      capabilities: ["chat"],
    });
    expect(catalogue.find({ provider: "openai", model: "gpt-4o-mini" })?.contextLength).toBe(5);
    data = [{ id: "newer" }];
    await clock.advance(3_600_000);
    expect(asked).toBe(2);
    expect(catalogue.models().map(({ id }) => id)).toEqual(["newer", "gpt-4o"]);
    catalogue.stop();
    await clock.advance(10 * 3_600_000);
    expect(asked).toBe(2);
    expect(clock.pending).toBe(0);
  });

  it("stay as they were when a refresh fails or hangs; one log line, and another try after a minute", async () => {
    let answer: () => Promise<JsonObject> = async () => ({ data: [{ id: "a" }] });
    const { catalogue, clock, logger } = setUp({ providers: [openrouter], http: () => answer() });
    catalogue.start();
    await clock.advance(1);
    answer = () => new Promise(() => {});
    await clock.advance(3_600_000 + 5_000);
    expect(logger.lines).toHaveLength(1);
    for (answer of [async () => ({}), async () => Promise.reject(new Error("500")), async () => ({ data: "nonsense" })])
      await clock.advance(300_000);
    expect(catalogue.models().map(({ id }) => id)).toEqual(["a"]);
    expect(logger.lines).toHaveLength(1);
    answer = async () => ({ data: [{ id: "b" }] });
    await clock.advance(3_600_000);
    expect(catalogue.models().map(({ id }) => id)).toEqual(["b"]);
    answer = async () => Promise.reject(new Error("500"));
    await clock.advance(3_600_000);
    expect(logger.lines).toHaveLength(2);
    catalogue.stop();
  });

  it("are bounded and cleaned", async () => {
    const junk = [null, 5, {}, { id: "" }, { id: "x".repeat(201) }, { id: "line\nbreak" }, { id: 7 }];
    const odd = {
      id: "__proto__",
      name: 5,
      contextLength: -1,
      maxOutput: "9",
      price: { input: Number.NaN, output: 1 },
      capabilities: "chat",
    };
    const data = [
      ...junk,
      odd,
      ...Array.from({ length: 20_000 }, (_, index) => ({ id: `model-${index}` })),
      { id: "model-0" },
    ] as JsonObject[];
    const { catalogue, clock } = setUp({ providers: [openrouter], http: async () => ({ data }) });
    catalogue.start();
    await clock.advance(1);
    expect(catalogue.models()).toHaveLength(5_000);
    expect(catalogue.models()[0]).toEqual({ id: "__proto__", capabilities: ["chat"], provider: "openrouter" });
    expect(catalogue.resolve("__proto__")).toEqual([{ provider: "openrouter", model: "__proto__" }]);
    catalogue.stop();
  });

  it("are not asked for, nor the price catalogue loaded, where a provider's models are fixed", async () => {
    let asked = 0;
    const { catalogue, clock } = setUp({
      http: async () => {
        asked += 1;
        return {};
      },
    });
    catalogue.start();
    expect(clock.pending).toBe(0);
    await clock.advance(7_200_000);
    expect(asked).toBe(0);
    expect(catalogue.models().map(({ id }) => id)).toEqual(["sim-small", "sim-large"]);
  });
});
