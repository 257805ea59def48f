import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type ResolvedConfig, resolveConfig } from "./check.ts";
import { collectEnv } from "./env.ts";
import { explainLoadError } from "./load-error.ts";
import { ConfigError, type Mistake } from "./mistakes.ts";
import { importFresh } from "./modules.ts";
import { nearest } from "./nearest.ts";
import { isPlain } from "./plain.ts";

const NAMES = ["ts", "mts", "js", "mjs"].map((extension) => `gateway.config.${extension}`);

export interface LoadOptions {
  /** A config file, or a folder with one in it; the working folder by default. */
  readonly path?: string | undefined;
  /** Replaces single settings of the file's `server`. */
  readonly server?: { readonly port?: number | undefined; readonly host?: string | undefined };
  /** Told each local file that is read, so that it can be watched. */
  readonly onFile?: (file: string) => void;
}

export interface LoadedConfig extends ResolvedConfig {
  /** Absolute. */
  readonly file: string;
}

/** Finds, loads and checks a config file. Throws a ConfigError that lists everything wrong with it. Calls must not overlap. */
export async function loadConfig({ path = ".", server, onFile }: LoadOptions = {}): Promise<LoadedConfig> {
  const file = findConfig(path);
  onFile?.(file);
  const mistakes: Mistake[] = [];
  try {
    const module = await collectEnv(mistakes, () => importFresh(file, onFile));
    if (!("default" in module)) throw new ConfigError([...mistakes, noDefault(module)]);
    return { file, ...resolveConfig(override(module.default, server), mistakes) };
  } catch (error) {
    const found = error instanceof ConfigError ? error.mistakes : [await explainLoadError(error, file), ...mistakes];
    throw new ConfigError(found, relative(process.cwd(), file) || file);
  }
}

/** The config file that `path` means: itself, or the first of the usual names in that folder. Throws a ConfigError. */
function findConfig(path: string): string {
  const absolute = resolve(path);
  const stats = statSync(absolute, { throwIfNoEntry: false });
  if (stats?.isFile()) return absolute;
  if (stats) {
    const name = NAMES.find((name) => statSync(join(absolute, name), { throwIfNoEntry: false })?.isFile());
    if (name) return join(absolute, name);
    const hint = "write one (export default defineGateway({ … })), or name one with --config";
    throw new ConfigError([{ path: absolute, expected: "a gateway.config.ts (or .mts, .js, .mjs) in this folder", got: "none", hint }]);
  }
  const folder = dirname(absolute);
  const similar = statSync(folder, { throwIfNoEntry: false })?.isDirectory() && nearest(basename(absolute), readdirSync(folder));
  const hint = similar ? `did you mean ${join(dirname(path), similar)}?` : undefined;
  throw new ConfigError([{ path, expected: "a config file", got: "no such file", ...(hint && { hint }) }]);
}

function noDefault(module: object): Mistake {
  const names = Object.keys(module);
  return {
    path: "export default",
    expected: "export default defineGateway({ … })",
    got: names.length > 0 ? `exports named ${names.join(", ")}` : "no exports",
    ...(names.length > 0 && { hint: `write: export default ${names[0]}` }),
  };
}

/** A copy with single settings replaced; whatever is not an object is left for the checks to complain of. */
function override(config: unknown, server: LoadOptions["server"] = {}): unknown {
  const given = Object.fromEntries(Object.entries(server).filter(([, value]) => value !== undefined));
  if (Object.keys(given).length === 0 || !isPlain(config)) return config;
  const { server: written = {} } = config;
  return isPlain(written) ? { ...config, server: { ...written, ...given } } : config;
}
