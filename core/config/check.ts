import { z } from "zod";
import type { PluginEntry } from "../plugin.ts";
import type { ProviderEntry } from "../provider.ts";
import { describeValue, oneOf } from "./describe.ts";
import { type Found, flatten, readPlugin, readProvider } from "./entries.ts";
import { explain, showPath } from "./explain.ts";
import { ConfigError, type Mistake } from "./mistakes.ts";
import { didYouMean } from "./nearest.ts";
import { orderMistakes } from "./order.ts";
import { frozenCopy, isPlain } from "./plain.ts";
import { type Settings, SettingsSchema } from "./schema.ts";

/** One plugin of the chain, checked. */
export interface ResolvedPlugin {
  /** Its definition's name; a second and third instance are `stamp#2` and `stamp#3`. */
  readonly name: string;
  readonly definition: PluginEntry["definition"];
  /** Parsed and frozen. */
  readonly options: unknown;
}

/** One provider, checked. */
export interface ResolvedProvider {
  /** The prefix in `provider/model`: the option `name` where the provider has one, else its definition's name. */
  readonly name: string;
  readonly definition: ProviderEntry["definition"];
  /** Parsed and frozen. */
  readonly options: unknown;
}

/** A config with nothing wrong in it, everything frozen. */
export interface ResolvedConfig {
  readonly settings: Settings;
  /** Outermost first. */
  readonly plugins: readonly ResolvedPlugin[];
  readonly providers: readonly ResolvedProvider[];
}

const ConfigSchema = SettingsSchema.extend({ providers: z.unknown().optional(), plugins: z.unknown().optional() });

/**
 * Checks a whole config. Throws a ConfigError that lists every mistake there is, together with those already `found`
 * while it loaded. Never writes to `config`.
 */
export function resolveConfig(config: unknown, found: readonly Mistake[] = []): ResolvedConfig {
  const mistakes = [...found];
  if (!isPlain(config)) {
    const expected = "an object: export default defineGateway({ … })";
    const hint = typeof config === "function" ? "call it, and export what it returns" : undefined;
    throw new ConfigError([...mistakes, { path: "export default", expected, got: describeValue(config), ...(hint && { hint }) }]);
  }

  const settings = ConfigSchema.safeParse(config);
  if (!settings.success) mistakes.push(...explain(ConfigSchema, config, settings.error.issues));

  const providers = collect(flatten(config.providers, "providers").map(readProvider), mistakes);
  const resolvedProviders = providers.map((provider) => {
    const options = parseOptions(provider, mistakes);
    return { name: providerName(provider.definition.name, options ?? provider.options), definition: provider.definition, options };
  });
  mistakes.push(...providerMistakes(config.providers, providers, resolvedProviders));

  const plugins = collect(flatten(config.plugins, "plugins").map(readPlugin), mistakes);
  const resolvedPlugins = plugins.map((plugin, index) => {
    const earlier = plugins.slice(0, index).filter(({ definition }) => definition.name === plugin.definition.name).length;
    const name = earlier === 0 ? plugin.definition.name : `${plugin.definition.name}#${earlier + 1}`;
    return { name, definition: plugin.definition, options: parseOptions(plugin, mistakes) };
  });
  mistakes.push(...nameMistakes(plugins), ...orderMistakes(plugins));

  const names = resolvedProviders.map(({ name }) => name);
  mistakes.push(...aliasMistakes(config.models, names));
  if (mistakes.length > 0 || !settings.success) throw new ConfigError(mistakes);

  const { providers: _, plugins: __, ...rest } = settings.data;
  return Object.freeze({
    settings: frozenCopy(rest),
    plugins: Object.freeze(resolvedPlugins.map((plugin) => Object.freeze(plugin))),
    providers: Object.freeze(resolvedProviders.map((provider) => Object.freeze(provider))),
  });
}

function collect<Entry extends PluginEntry | ProviderEntry>(
  readings: readonly ({ found: Found<Entry> } | { mistakes: Mistake[] })[],
  mistakes: Mistake[],
): Found<Entry>[] {
  return readings.flatMap((reading) => {
    if ("found" in reading) return [reading.found];
    mistakes.push(...reading.mistakes);
    return [];
  });
}

function parseOptions({ at, definition, options }: Found<PluginEntry | ProviderEntry>, mistakes: Mistake[]): unknown {
  const parsed = definition.options.safeParse(options);
  if (parsed.success) return frozenCopy(parsed.data);
  mistakes.push(...explain(definition.options, options, parsed.error.issues, `${at} (${definition.name}).options`));
  return undefined;
}

function providerName(fallback: string, options: unknown): string {
  return isPlain(options) && typeof options.name === "string" ? options.name : fallback;
}

function providerMistakes(
  list: unknown,
  found: readonly Found<ProviderEntry>[],
  resolved: readonly { readonly name: string }[],
): Mistake[] {
  if (flatten(list, "providers").length === 0) {
    const hint = 'simulator() from "headgate/providers" needs no key';
    return [{ path: "providers", expected: "at least one provider", got: describeValue(list), hint }];
  }
  return resolved.flatMap(({ name }, index) => {
    const first = resolved.findIndex((other) => other.name === name);
    if (first === index) return [];
    return {
      path: `${found[index]?.at} (${name})`,
      expected: "a name of its own",
      got: `"${name}", as at ${found[first]?.at}`,
      hint: `give one of them another name in its options, such as name: "${name}-2"`,
    };
  });
}

/** The same plugin may stand in a chain twice; two different ones under one name could not be told apart. */
function nameMistakes(plugins: readonly Found<PluginEntry>[]): Mistake[] {
  return plugins.flatMap((plugin, index) => {
    const { name } = plugin.definition;
    const first = plugins.findIndex((other) => other.definition.name === name);
    const twin = plugins[first];
    if (!twin || first === index || twin.identity === plugin.identity) return [];
    return {
      path: `${plugin.at} (${name})`,
      expected: "a name that no other plugin has",
      got: `"${name}", which is a different plugin at ${twin.at}`,
      hint: "rename one of the two in its definition",
    };
  });
}

function aliasMistakes(models: unknown, providers: readonly string[]): Mistake[] {
  if (!isPlain(models)) return [];
  const expected = `"provider/model" with a provider of this config: ${oneOf(providers)}`;
  return Object.entries(models).flatMap(([alias, list]) => {
    const at = showPath("models", [alias]);
    const targets = flatten(list, at);
    if (targets.length === 0 && Array.isArray(list)) {
      return [{ path: at, expected: "at least one target", got: list.length === 0 ? "an empty list" : "only entries that are skipped" }];
    }
    return targets.flatMap(({ at: path, value }) => {
      if (typeof value !== "string") return [];
      const slash = value.indexOf("/");
      if (slash > 0 && slash < value.length - 1 && providers.includes(value.slice(0, slash))) return [];
      const provider = slash < 0 ? value : value.slice(0, slash);
      const hint = slash < 0 ? "write which provider serves it, then a slash, then the model" : didYouMean(provider, providers);
      return [{ path, expected, got: describeValue(value), ...(hint && { hint }) }];
    });
  });
}
