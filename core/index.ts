/**
 * The public entry point: what a config, a plugin, a provider or a preset imports. A file that is contract through and
 * through is exported whole, of the others what is public by name; `test/repo/names.test.ts` holds the list.
 */
export { Bag } from "./bag.ts";
export {
  ConfigError,
  defineGateway,
  type Env,
  env,
  type GatewayConfig,
  type Listed,
  type Mistake,
  type ResolvedConfig,
  type ResolvedPlugin,
  type ResolvedProvider,
  resolveConfig,
  Secret,
  type Settings,
  secret,
} from "./config/index.ts";
export { didYouMean } from "./config/nearest.ts";
export { type Binding, bind, type Injected, type Scope, type Token, token } from "./di.ts";
export * from "./dialects/canonical.ts";
export { toChunks } from "./dialects/chunks.ts";
export type { CanonicalReply, CanonicalRequest, Operation } from "./dialects/dialect.ts";
export * from "./errors.ts";
export * from "./exchange.ts";
export * from "./http/api.ts";
export { canonicalJson } from "./http/canonical-json.ts";
export * from "./http/guard.ts";
export * from "./http/paging.ts";
export { checkRank } from "./http/rank.ts";
export * from "./plugin.ts";
export * from "./provider.ts";
export * from "./services/clock.ts";
export { DataFolder } from "./services/data-folder.ts";
export * from "./services/database.ts";
export { within } from "./services/deadline.ts";
export * from "./services/directory.ts";
export * from "./services/events.ts";
export { HttpClient } from "./services/http.ts";
export * from "./services/ids.ts";
export { KeyValue } from "./services/key-value.ts";
export { Logger } from "./services/logger.ts";
export * from "./services/metrics.ts";
export { type PersonalData, PersonalDataRegistry } from "./services/personal-data.ts";
export { watchProcess } from "./services/process-metrics.ts";
export * from "./services/random.ts";
export { type RedisScript, redisScript, Scripts } from "./services/scripts.ts";
export * from "./services/spool.ts";
export * from "./services/tokens.ts";
export { Catalogue, type CatalogueModel } from "./upstream/catalogue.ts";
export type { PendingResponse, UpstreamBody, UpstreamRequest, UpstreamResponse } from "./upstream/client.ts";
export * from "./upstream/output.ts";
