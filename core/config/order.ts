import type { PluginEntry } from "../plugin.ts";
import type { Found } from "./entries.ts";
import type { Mistake } from "./mistakes.ts";

type Plugin = Found<PluginEntry>;

/**
 * Plugins that do not stand as their definitions ask. `after` asks that the other has run by then, so one instance of it
 * above is enough; `before` asks that the other has not run yet, so none of its instances may stand above.
 */
export function orderMistakes(plugins: readonly Plugin[]): Mistake[] {
  // By place, because two plugins may both declare what they want of each other.
  const mistakes = new Map<string, Mistake>();
  const add = (upper: Plugin, lower: Plugin, rule: string) => {
    const [above, below] = [upper.definition.name, lower.definition.name];
    mistakes.set(`${upper.at} ${lower.at}`, {
      path: `${upper.at} (${above})`,
      expected: `another order: ${rule}`,
      got: `"${above}" at ${upper.at}, "${below}" at ${lower.at}`,
      hint: `move "${below}" above "${above}"`,
    });
  };
  plugins.forEach((plugin, index) => {
    const { name, after = [], before = [] } = plugin.definition;
    const above = plugins.slice(0, index);
    for (const other of after) {
      const first = plugins.find(({ definition }) => definition.name === other);
      if (!first || first === plugin || above.includes(first)) continue;
      add(plugin, first, `"${name}" has to stand after "${other}"`);
    }
    for (const early of above.filter(({ definition }) => before.includes(definition.name) && definition.name !== name)) {
      add(early, plugin, `"${name}" has to stand before "${early.definition.name}"`);
    }
  });
  return [...mistakes.values()];
}
