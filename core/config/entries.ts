import { z } from "zod";
import { definePlugin, type InlinePlugin, type PluginEntry } from "../plugin.ts";
import type { ProviderEntry } from "../provider.ts";
import { describeValue } from "./describe.ts";
import type { Mistake } from "./mistakes.ts";
import { didYouMean } from "./nearest.ts";
import { isPlain } from "./plain.ts";

/** A value of a config's list and where it stands, such as `plugins[2][0]`. */
export interface Listing {
  readonly at: string;
  readonly value: unknown;
}

/** A plugin or provider found in a config, its options not yet parsed. */
export interface Found<Entry extends PluginEntry | ProviderEntry> {
  readonly at: string;
  readonly definition: Entry["definition"];
  readonly options: unknown;
  /** What two places in a config share when they hold the same plugin. */
  readonly identity: unknown;
}

type Reading<Entry extends PluginEntry | ProviderEntry> = { found: Found<Entry> } | { mistakes: Mistake[] };

/** The truthy entries of a list, nested lists opened. */
export function flatten(value: unknown, at: string): Listing[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => flatten(item, `${at}[${index}]`));
  return value ? [{ at, value }] : [];
}

export function readProvider({ at, value }: Listing): Reading<ProviderEntry> {
  if (isEntry(value, "provider")) return named(at, value.definition, value.options, value.definition);
  return { mistakes: [misfit(at, value, "provider")] };
}

export function readPlugin({ at, value }: Listing): Reading<PluginEntry> {
  if (isEntry(value, "plugin")) return named(at, value.definition, value.options, value.definition);
  if (isPlain(value) && ("handle" in value || "name" in value)) return readInline(at, value);
  return { mistakes: [misfit(at, value, "plugin")] };
}

function readInline(at: string, value: Record<string, unknown>): Reading<PluginEntry> {
  const mistakes: Mistake[] = Object.keys(value)
    .filter((key) => key !== "name" && key !== "handle")
    .map((key) => ({
      path: `${at}.${key}`,
      expected: "only name and handle in an inline plugin",
      got: `the unknown key "${key}"`,
      hint: didYouMean(key, ["name", "handle"]) ?? "definePlugin offers the rest: options, start, stop, routes, …",
    }));
  const { name, handle } = value;
  if (typeof name !== "string") {
    mistakes.push({ path: `${at}.name`, expected: "a text", got: describeValue(name), hint: "logs and metrics call the plugin by it" });
  }
  if (typeof handle !== "function") {
    mistakes.push({
      path: `${at}.handle`,
      expected: "a function (exchange, next)",
      got: describeValue(handle),
    });
  }
  if (mistakes.length > 0) return { mistakes };
  const inline = value as unknown as InlinePlugin;
  const entry = definePlugin({ name: inline.name, options: z.strictObject({}), setup: () => ({ handle: inline.handle?.bind(inline) }) })();
  return named(at, entry.definition, entry.options, value);
}

const NAME = /^[A-Za-z0-9][\w.-]*$/;

function named<Entry extends PluginEntry | ProviderEntry>(
  at: string,
  definition: Entry["definition"],
  options: unknown,
  identity: unknown,
): Reading<Entry> {
  if (NAME.test(definition.name)) return { found: { at, definition, options, identity } };
  const expected = "a name of letters, digits, dashes, dots and underscores, such as circuit-breaker";
  return { mistakes: [{ path: `${at}.name`, expected, got: describeValue(definition.name) }] };
}

type EntryOf = { plugin: PluginEntry; provider: ProviderEntry };

function isEntry<Kind extends keyof EntryOf>(value: unknown, kind: Kind): value is EntryOf[Kind] {
  return isPlain(value) && value.kind === kind && isDefinition(value.definition);
}

/** TypeScript has checked this for those who use it; a plugin in plain JavaScript may lack anything. */
function isDefinition(value: unknown): boolean {
  if (!isPlain(value) || typeof value.name !== "string" || typeof value.setup !== "function") return false;
  return typeof value.options === "object" && value.options !== null && "safeParse" in value.options;
}

function misfit(at: string, value: unknown, kind: keyof EntryOf): Mistake {
  const expected = kind === "plugin" ? "a plugin, such as metrics()" : "a provider, such as simulator()";
  const got = describeValue(value);
  const other = kind === "plugin" ? "provider" : "plugin";
  if (isEntry(value, other)) {
    return { path: at, expected, got: `the ${other} "${value.definition.name}"`, hint: `move it to \`${other}s\`` };
  }
  if (isPlain(value) && value.kind === kind) {
    const define = kind === "plugin" ? "definePlugin" : "defineProvider";
    return { path: at, expected, got: `an incomplete ${kind}`, hint: `${define} needs name, options (a zod schema) and setup` };
  }
  if (typeof value === "function") return { path: at, expected, got, hint: `if that is what makes the ${kind}, call it: name()` };
  if (typeof value === "string") return { path: at, expected, got, hint: `names are not looked up: import the ${kind} and call it` };
  if (value instanceof Promise) return { path: at, expected, got, hint: "await it" };
  return { path: at, expected, got };
}
