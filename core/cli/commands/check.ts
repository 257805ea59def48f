import { relative } from "node:path";
import { inspect } from "node:util";
import type { ResolvedConfig } from "../../config/check.ts";
import { type LoadedConfig, loadConfig } from "../../config/load.ts";
import { masked } from "../../config/masked.ts";
import { ConfigError } from "../../config/mistakes.ts";
import { isPlain } from "../../config/plain.ts";
import { chainTree, REENTRY } from "../chain-tree.ts";
import { EXIT, type Paint, painter, print } from "../output.ts";

export interface CheckFlags {
  readonly config?: string | undefined;
  readonly json: boolean;
}

/** Prints what the config does with a request, secrets masked. Opens no connection and no port. */
export async function check({ config: path, json }: CheckFlags): Promise<number> {
  try {
    const config = await loadConfig({ path });
    print(json ? JSON.stringify(asJson(config), null, 2) : asText(config, painter(process.stdout)));
    return EXIT.ok;
  } catch (error) {
    if (!json || !(error instanceof ConfigError)) throw error;
    print(JSON.stringify({ ok: false, file: error.file, mistakes: error.mistakes }, null, 2));
    return EXIT.usage;
  }
}

function asJson({ file, settings, plugins, providers }: LoadedConfig): object {
  return {
    ok: true,
    file,
    chain: plugins.map(({ name, definition, options }) => ({
      name,
      failMode: definition.failMode ?? "closed",
      reenters: definition.reenters ?? false,
      options: masked(options),
    })),
    providers: providers.map(({ name, options }) => ({ name, options: masked(options) })),
    models: settings.models,
    settings: masked(withoutModels(settings)),
  };
}

function asText(config: LoadedConfig, paint: Paint): string {
  const { file, settings, plugins, providers } = config;
  const chain = chainTree(config).map(({ branch, name, reenters }, index) => ({
    name: `${paint("dim", branch)}${paint("bold", name)}`,
    width: branch.length + name.length,
    notes: [reenters ? REENTRY : "", optionsLine(plugins[index]?.options)],
  }));
  const listed = (entries: readonly { name: string; note: string }[]) =>
    entries.map(({ name, note }) => ({ name: paint("bold", name), width: name.length, notes: [note] }));
  const aliases = Object.entries(settings.models).map(([name, targets]) => ({ name, note: `→ ${targets.join(", ")}` }));
  const others = Object.entries(withoutModels(settings))
    .map(([name, value]) => ({ name, note: optionsLine(value) }))
    .filter(({ note }) => note !== "");
  const sections: [title: string, rows: Row[]][] = [
    ["Chain", chain],
    ["Providers", listed(providers.map(({ name, options }) => ({ name, note: optionsLine(options) })))],
    ["Aliases", listed(aliases)],
    ["Settings", listed(others)],
  ];
  const shown = sections
    .filter(([, rows]) => rows.length > 0)
    .map(([title, rows]) => `${paint("underline", title)}\n${columns(rows, paint)}`);
  return [`${paint("green", "ok")} ${relative(process.cwd(), file)}`, ...shown].join("\n\n");
}

interface Row {
  /** Already coloured; `width` is its length without colours. */
  readonly name: string;
  readonly width: number;
  readonly notes: readonly string[];
}

function columns(rows: readonly Row[], paint: Paint): string {
  const width = Math.max(...rows.filter(({ notes }) => notes.some(Boolean)).map((row) => row.width));
  return rows
    .map(({ name, width: own, notes }) => {
      const note = notes.filter(Boolean).join("  ");
      return note ? `  ${name}${" ".repeat(width - own)}  ${paint("dim", note)}` : `  ${name}`;
    })
    .join("\n");
}

function optionsLine(options: unknown): string {
  const plain = masked(options);
  const show = (value: unknown) => inspect(value, { depth: Number.POSITIVE_INFINITY, breakLength: Number.POSITIVE_INFINITY });
  if (!isPlain(plain)) return plain === undefined ? "" : show(plain);
  return Object.entries(plain)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${show(value)}`)
    .join(", ");
}

function withoutModels({ models: _, ...settings }: ResolvedConfig["settings"]): Omit<ResolvedConfig["settings"], "models"> {
  return settings;
}
