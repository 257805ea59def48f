import { describe, expect, test } from "vitest";
import { z } from "zod";
import { definePlugin } from "../plugin.ts";
import { defineProvider } from "../provider.ts";
import { resolveConfig } from "./check.ts";
import { ConfigError, type Mistake } from "./mistakes.ts";

const local = defineProvider({
  name: "local",
  options: z.strictObject({ name: z.string().default("local") }),
  setup: ({ name }) => ({ name, dialect: "openai-chat", baseUrl: "http://127.0.0.1:9", headers: () => ({}) }),
});

const plain = (name: string, more: { after?: string[]; before?: string[] } = {}) =>
  definePlugin({ name, ...more, options: z.strictObject({}), setup: () => ({}) });

const wide = definePlugin({
  name: "wide",
  options: z.strictObject({
    at: z.union([z.string(), z.strictObject({ mode: z.enum(["fast", "slow"]) })]).optional(),
    kind: z
      .discriminatedUnion("type", [z.strictObject({ type: z.literal("a"), size: z.int() }), z.strictObject({ type: z.literal("b") })])
      .optional(),
    url: z.url().optional(),
    even: z
      .number()
      .refine((n) => n % 2 === 0, "an even number")
      .optional(),
    tags: z.array(z.string()).min(2).optional(),
    limits: z.record(z.string().min(2), z.int().min(0)).optional(),
    apiKey: z.string().min(40).optional(),
    hook: z.function().optional(),
    raw: z.unknown().optional(),
  }),
  setup: () => ({}),
});

function mistakesOf(config: object): Mistake[] {
  try {
    resolveConfig({ providers: [local()], plugins: [], ...config });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return [...error.mistakes];
    throw error;
  }
}

describe("a good config", () => {
  test("becomes a chain with a name for each instance, and settings with their defaults", () => {
    const stamp = plain("stamp");
    const resolved = resolveConfig({ providers: local(), plugins: [stamp(), null, [0, [stamp(), ""]], { name: "mine", handle() {} }] });
    expect(resolved.plugins.map(({ name }) => name)).toEqual(["stamp", "stamp#2", "mine"]);
    expect(resolved.providers.map(({ name, options }) => [name, options])).toEqual([["local", { name: "local" }]]);
    expect(resolved.settings.server.port).toBe(8787);
    expect(resolveConfig({ providers: [local()] }).plugins).toEqual([]);
  });

  test("an inline plugin is called on its own object", () => {
    const inline = {
      name: "counting",
      calls: 0,
    };
    const handle = function (this: typeof inline) {
      this.calls += 1;
    };
    expect(mistakesOf({ plugins: [{ ...inline, handle }] })[0]?.path).toBe("plugins[0].calls");
    const [plugin] = resolveConfig({ providers: [local()], plugins: [{ name: "ok", handle }] }).plugins;
    expect(plugin?.definition.setup({}, {})).toHaveProperty("handle");
  });

  test("gives frozen copies and leaves the config as it was", () => {
    const raw = { deep: [{ value: 1 }] };
    const config = { providers: [local()], plugins: [wide({ raw })], models: { fast: ["local/a", false] } };
    const before = structuredClone({ models: config.models, raw });
    const { plugins, settings } = resolveConfig(config);
    const options = plugins[0]?.options as { raw: typeof raw };
    expect(options.raw).toEqual(raw);
    expect(() => options.raw.deep.push({ value: 2 })).toThrow(TypeError);
    expect(() => Object.assign(settings.server, { port: 1 })).toThrow(TypeError);
    raw.deep.push({ value: 3 });
    expect(options.raw.deep).toHaveLength(1);
    expect({ models: config.models, raw: { deep: [{ value: 1 }] } }).toEqual(before);
    expect(settings.models).toEqual({ fast: ["local/a"] });
  });

  test("keeps an own __proto__ key a key", () => {
    const raw: unknown = JSON.parse('{"__proto__": {"polluted": true}}');
    const [plugin] = resolveConfig({ providers: [local()], plugins: [wide({ raw })] }).plugins;
    const { raw: kept } = z.object({ raw: z.custom<object>() }).parse(plugin?.options);
    expect(Object.keys(kept)).toEqual(["__proto__"]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe("what is wrong is said in plain words", () => {
  test.each<[string, object, Partial<Mistake>]>([
    ["a union", { at: 5 }, { expected: "a text, or an object with mode", got: "5" }],
    ["inside a union", { at: { mode: "fsat" } }, { path: "plugins[0] (wide).options.at.mode", hint: 'did you mean "fast"?' }],
    ["a discriminator", { kind: { type: "c" } }, { path: "plugins[0] (wide).options.kind.type", expected: '"a", or "b"' }],
    [
      "a variant's own option",
      { kind: { type: "a" } },
      { path: "plugins[0] (wide).options.kind.size", expected: "a whole number", got: "nothing" },
    ],
    ["a format", { url: "no" }, { expected: "a URL", got: '"no"' }],
    ["a refinement", { even: 3 }, { expected: "an even number", got: "3" }],
    ["a list too short", { tags: ["a"] }, { expected: "a list of at least 2 entries, each a text", got: "a list of 1" }],
    ["a record's key", { limits: { a: 1 } }, { expected: "a key that is a text of at least 2 characters", got: '"a"' }],
    ["a record's value", { limits: { gpt: -1 } }, { path: "plugins[0] (wide).options.limits.gpt", expected: "a whole number, at least 0" }],
    ["a key too short to be one", { apiKey: "sk-12345" }, { got: "a text (not shown)" }],
    ["not a function", { hook: 5 }, { expected: "function", got: "5" }],
    ["an odd key", { "odd key": 1 }, { path: 'plugins[0] (wide).options["odd key"]' }],
  ])("%s", (_, options, expected) => {
    const mistakes = mistakesOf({ plugins: [wide(options as never)] });
    expect(mistakes).toEqual([expect.objectContaining(expected)]);
  });

  test.each<[string, unknown, Partial<Mistake>]>([
    ["a promise", Promise.resolve(), { got: "a promise", hint: "await it" }],
    ["a name", "metrics", { hint: "names are not looked up: import the plugin and call it" }],
    ["a provider", local(), { got: 'the provider "local"', hint: "move it to `providers`" }],
    ["an object of another kind", { enabled: true }, { got: "an object with enabled" }],
    ["half a plugin", { kind: "plugin", definition: { name: "x" } }, { got: "an incomplete plugin" }],
    ["a misspelt inline plugin", { name: "x", handel() {} }, { path: "plugins[0].handel", hint: 'did you mean "handle"?' }],
    ["an unusable name", plain("my plugin")(), { path: "plugins[0].name", got: '"my plugin"' }],
  ])("%s in the chain", (_, entry, expected) => {
    expect(mistakesOf({ plugins: [entry] })).toContainEqual(expect.objectContaining(expected));
  });

  test.each([[undefined], [5], [[]], ["config"]])("%j instead of a config", (config) => {
    expect(() => resolveConfig(config)).toThrow("export default defineGateway");
  });

  test.each([[[]], [undefined], [[false, [null]]]])("no provider at all: %j", (providers) => {
    expect(mistakesOf({ providers })).toEqual([expect.objectContaining({ path: "providers", expected: "at least one provider" })]);
  });
});

describe("names and order", () => {
  test("two providers under one name, and a way out", () => {
    expect(mistakesOf({ providers: [local(), local()] })).toEqual([expect.objectContaining({ path: "providers[1] (local)" })]);
    expect(mistakesOf({ providers: [local(), local({ name: "second" })], models: { a: "second/x" } })).toEqual([]);
  });

  test("after asks for one above, before for none above, and a pair is told once", () => {
    const auth = plain("auth", { before: ["cache"] });
    const cache = plain("cache", { after: ["auth"] });
    const order = (...plugins: unknown[]) => mistakesOf({ plugins }).map(({ path, hint }) => `${path}: ${hint}`);
    expect(order(auth(), cache())).toEqual([]);
    expect(order(cache())).toEqual([]);
    expect(order(cache(), auth())).toEqual(['plugins[0] (cache): move "auth" above "cache"']);
    expect(order(auth(), cache(), auth())).toEqual(['plugins[1] (cache): move "auth" above "cache"']);
    const last = plain("last", { after: ["auth"] });
    expect(order(auth(), last(), auth(), last())).toEqual([]);
    expect(order(plain("self", { after: ["self"], before: ["self"] })())).toEqual([]);
  });

  test("an alias has to name a provider and a model", () => {
    const models = { a: "local/x/y", b: "local", c: "local/", d: "/x", e: [] };
    expect(mistakesOf({ models }).map(({ path }) => path)).toEqual(["models.b", "models.c", "models.d", "models.e"]);
  });
});
