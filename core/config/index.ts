import type { z } from "zod";
import type { InlinePlugin, PluginEntry } from "../plugin.ts";
import type { ProviderEntry } from "../provider.ts";
import type { SettingsSchema } from "./schema.ts";

export { type ResolvedConfig, type ResolvedPlugin, type ResolvedProvider, resolveConfig } from "./check.ts";
export { type Env, env } from "./env.ts";
export { ConfigError, type Mistake } from "./mistakes.ts";
export type { Settings } from "./schema.ts";
export { Secret, secret } from "./secret.ts";

type Falsy = false | null | undefined | 0 | "";
/** Falsy entries are skipped and nested arrays flattened, so that a preset is just a function. */
export type Listed<T> = T | Falsy | readonly Listed<T>[];

export interface GatewayConfig extends z.input<typeof SettingsSchema> {
  providers: Listed<ProviderEntry>;
  /** The chain, outermost first. */
  plugins: Listed<PluginEntry | InlinePlugin>;
}

/** The identity function, for its types: `export default defineGateway({ … })`. */
export function defineGateway(config: GatewayConfig): GatewayConfig {
  return config;
}
