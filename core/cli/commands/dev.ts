import { loadConfig } from "../../config/load.ts";
import { ConfigError } from "../../config/mistakes.ts";
import type { Gateway } from "../../gateway.ts";
import { drawChain } from "../banner.ts";
import { painter, say, sayMistakes } from "../output.ts";
import { loadOptions, run, type ServerFlags } from "../run.ts";
import { Watcher } from "../watch.ts";

/** Serves, and swaps in the chain of an edited config; the one before stays when the new one is wrong. */
export function dev(flags: ServerFlags): Promise<number> {
  const files = new Set<string>();
  const options = { ...loadOptions(flags), onFile: (file: string) => void files.add(file) };
  return run(options, (gateway) => {
    // One reload at a time; an edit made meanwhile is picked up by the next.
    let reloads = Promise.resolve();
    const watcher = new Watcher(() => {
      reloads = reloads.then(() => reload(gateway, options)).then(watchAll);
    });
    const watchAll = () => {
      for (const file of files) watcher.add(file);
    };
    watchAll();
    return () => watcher.close();
  });
}

async function reload(gateway: Gateway, options: Parameters<typeof loadConfig>[0]): Promise<void> {
  const paint = painter(process.stderr);
  const began = performance.now();
  try {
    const config = await loadConfig(options);
    await gateway.reload(config);
    const took = Math.round(performance.now() - began);
    say([`${paint("green", "reloaded")} in ${took} ms`, ...drawChain(config, paint)].join("\n"));
  } catch (error) {
    if (error instanceof ConfigError) sayMistakes(error);
    else say(error instanceof Error ? error.message : String(error));
    say(paint("yellow", "still serving the config before this edit"));
  }
}
