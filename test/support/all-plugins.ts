import * as plugins from "headgate/plugins";

type Factories = typeof plugins;
type PluginName = keyof Factories;

const ORDER: readonly string[] = ["metrics", "audit", "auth", "usage", "rateLimit", "idempotency", "quota", "alerts"];

/** Every built-in plugin with its defaults, unless options are given, in an order that all of them accept. */
export function allPlugins(options: { [Name in PluginName]?: Parameters<Factories[Name]>[0] } = {}) {
  const rank = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const chain = (Object.entries(plugins) as [PluginName, (options?: unknown) => ReturnType<Factories["metrics"]>][]).toSorted(
    ([a], [b]) => rank(a) - rank(b),
  );
  return chain.map(([name, factory]) => factory(options[name]));
}
