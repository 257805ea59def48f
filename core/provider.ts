import type { z } from "zod";
import type { Injected, Token } from "./di.ts";
import type { JsonObject } from "./dialects/canonical.ts";
import type { Operation } from "./dialects/dialect.ts";
import type { UpstreamRequest, UpstreamResponse } from "./upstream/client.ts";

/** A model as a provider's list or the catalogue describes it; what is not known is absent. */
export interface ModelInfo {
  /** The provider's own id, without prefix. */
  readonly id: string;
  readonly name?: string;
  /** Input window in tokens. */
  readonly contextLength?: number;
  /** Most output tokens. */
  readonly maxOutput?: number;
  /** Nano-dollars per token. */
  readonly price?: { readonly input: number; readonly output: number; readonly cachedInput?: number; readonly cacheWrite?: number };
  /** `chat`, `embeddings`, `tools`, `vision`, `json_schema`, `reasoning`, … */
  readonly capabilities?: readonly string[];
  readonly tier?: string;
}

/** One upstream: the dialect it speaks, where it is, how it is paid and what it offers. */
export interface Provider {
  /** Unique in a config; the prefix in `provider/model`. */
  readonly name: string;
  /** Name of a dialect with an upstream half. */
  readonly dialect: string;
  /** Origin and path prefix, without trailing slash. */
  readonly baseUrl: string;
  /** Credentials and fixed headers, lower-case names. Called per request, so that a key can rotate. */
  headers(): Record<string, string>;
  /** Replaces the dialect's path (Azure's deployments). */
  path?(operation: Operation, model: string, stream: boolean): string | null;
  /** Changes a finished request body where this provider differs from its dialect. */
  adapt?(operation: Operation, body: JsonObject): JsonObject;
  /** Models known without asking. */
  readonly models?: readonly ModelInfo[];
  /** Where its model list is, and how to read it; absent when it has none. */
  readonly discovery?: { readonly path: string; read(body: JsonObject): ModelInfo[] };
  /** The provider's id in the price catalogue, when it differs from its name. */
  readonly priceId?: string;
  /** Answers without a network (the simulator). */
  send?(request: UpstreamRequest): Promise<UpstreamResponse>;
}

export interface ProviderDefinition<Schema extends z.ZodType, Tokens extends Record<string, Token<unknown>>> {
  /** Default name in a config. */
  name: string;
  /** A strict schema with its defaults inside. */
  options: Schema;
  inject?: Tokens;
  /** Must not do I/O. */
  setup(options: z.output<Schema>, deps: Injected<Tokens>): Provider;
}

/** A provider as it stands in a config: checked and built at boot. */
export interface ProviderEntry {
  readonly kind: "provider";
  readonly definition: ProviderDefinition<z.ZodType, Record<string, Token<unknown>>>;
  readonly options: unknown;
}

type OptionalArgument<Schema extends z.ZodType> =
  Record<never, never> extends z.input<Schema> ? [options?: z.input<Schema>] : [options: z.input<Schema>];

/** Returns the factory used in a config: `providers: [openai({ apiKey: env.secret("OPENAI_API_KEY") })]`. */
export function defineProvider<Schema extends z.ZodType, Tokens extends Record<string, Token<unknown>> = Record<never, never>>(
  definition: ProviderDefinition<Schema, Tokens>,
): (...argument: OptionalArgument<Schema>) => ProviderEntry {
  return (...[options]) => ({ kind: "provider", definition: definition as unknown as ProviderEntry["definition"], options: options ?? {} });
}
