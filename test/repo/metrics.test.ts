import { bind, Metrics } from "headgate";
import { simulator } from "headgate/providers";
import { startGateway } from "headgate/testing";
import { expect, test } from "vitest";
import { createMetrics } from "../../core/services/metrics-registry.ts";
import { allPlugins } from "../support/all-plugins.ts";
import { filesOf, read, tableRows } from "../support/pages.ts";

type Instrument = readonly [name: string, kind: string, labels: readonly string[]];

/** The registry, with word of every instrument that it is asked for. */
function watched(asked: Instrument[]): Metrics {
  const registry = createMetrics();
  const note = (name: string, kind: string, { labels = [], unit }: { labels?: readonly string[]; unit?: string }) => {
    const prometheus = name.replaceAll(".", "_") + (unit === "s" && !name.endsWith("_seconds") ? "_seconds" : "");
    asked.push([prometheus, kind, labels.map((label) => label.replaceAll(".", "_"))]);
  };
  return {
    counter(name, options) {
      note(name, "counter", options);
      return registry.counter(name, options);
    },
    upDownCounter(name, options) {
      note(name, "gauge", options);
      return registry.upDownCounter(name, options);
    },
    histogram(name, options) {
      note(name, "histogram", options);
      return registry.histogram(name, options);
    },
    gauge(name, options, read) {
      note(name, "gauge", options);
      return registry.gauge(name, options, read);
    },
    collect: () => registry.collect(),
  };
}

/** Each plugin's own; what the core measures stands with the plugin that reads it out. */
const documented = filesOf("plugins/*/README.md")
  .flatMap((page) => tableRows(page, "name"))
  .filter(([name]) => name?.startsWith("`headgate_") || name?.startsWith("`gen_ai"))
  .map(
    ([name = "", kind = "", labels = ""]): Instrument => [
      name.replaceAll("`", ""),
      kind,
      Array.from(labels.matchAll(/`(\w+)`/g), ([, label = ""]) => label),
    ],
  );

test("every metric stands in a plugin's README with its kind and labels, and no other", async () => {
  const asked: Instrument[] = [];
  const otlp = { endpoint: "http://127.0.0.1:9", timeoutMs: 100 };
  const config = { providers: [simulator()], plugins: allPlugins({ metrics: { otlp } }), log: { level: "error" as const } };
  const gateway = await startGateway(config, [bind(Metrics, watched(asked))]);
  await gateway.stop();
  const inOrder = (instruments: readonly Instrument[]) => [...new Set(instruments.map((each) => JSON.stringify(each)))].toSorted();
  expect(inOrder(documented)).toEqual(inOrder(asked));
});

test("no metric escapes that by being made later", () => {
  const sources = filesOf("{core,plugins}/**/*.ts").filter((file) => !file.endsWith(".test.ts"));
  const named = sources.flatMap((file) =>
    Array.from(read(file).matchAll(/\b(?:counter|upDownCounter|histogram|gauge)\(\s*"(headgate_\w+)"/g), ([, name = ""]) => ({
      name,
      file,
    })),
  );
  expect(named.filter(({ name }) => !documented.some(([known]) => known === name))).toEqual([]);
});
