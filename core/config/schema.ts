import { z } from "zod";
import { secret } from "./secret.ts";

const ms = (fallback: number) => z.int().min(1).max(86_400_000).default(fallback);
const bytes = (fallback: number, max: number) => z.int().min(1024).max(max).default(fallback);

/** Where the gateway listens and what it takes in. Times in milliseconds, sizes in bytes. */
export const ServerOptions = z.strictObject({
  /** 0 picks a free port. */
  port: z.int().min(0).max(65_535).default(8787),
  /** Loopback by default: opening a gateway to a network is a decision. */
  host: z.string().min(1).default("127.0.0.1"),
  /** `Host` values answered for; empty answers for any. Protects a loopback gateway from DNS rebinding. */
  allowedHosts: z.array(z.string().min(1)).default([]),
  /** Browser origins that may call the API. None by default. */
  corsOrigins: z.array(z.string().min(1)).default([]),
  /**
   * Proxies of your own that every request comes through, each of which adds to `X-Forwarded-For`. With 0 that header says
   * nothing about who is calling: anybody can send it.
   */
  trustedHops: z.int().min(0).max(10).default(0),
  tls: z.strictObject({ key: z.string().min(1), cert: z.string().min(1) }).optional(),
  maxConnections: z.int().min(1).max(1_000_000).default(10_000),
  limits: z
    .strictObject({
      /** Largest request body, after decompression. */
      bodyBytes: bytes(4 * 1024 * 1024, 64 * 1024 * 1024),
      jsonDepth: z.int().min(8).max(512).default(64),
      /** For all request headers to arrive. */
      headersMs: ms(10_000),
      /** For a whole request, body included, to arrive. */
      requestMs: ms(60_000),
      /** For a whole call, answer included. */
      callMs: ms(600_000),
      /** For one plugin's own work on one call, what it awaits from `next()` not counted. */
      pluginMs: ms(30_000),
      /** For a client that does not read its stream. */
      stallMs: ms(45_000),
      /** Silence on a stream after which a comment is sent to keep it open. */
      heartbeatMs: ms(10_000),
    })
    .prefault({}),
  /** How long streams may finish after SIGTERM. */
  drainMs: ms(30_000),
});

/** Deadlines on calls to providers, in milliseconds. */
const UpstreamOptions = z.strictObject({
  /** For a connection. */
  connectMs: ms(3_000),
  /** From sending a request to the first content of its answer. */
  firstContentMs: ms(120_000),
  /** Between two pieces of an answer. */
  idleMs: ms(60_000),
  /** Largest whole (not streamed) answer. */
  bodyBytes: bytes(32 * 1024 * 1024, 256 * 1024 * 1024),
});

/** One price, in dollars per million tokens, as providers print them. */
const PriceOptions = z.strictObject({
  input: z.number().min(0),
  output: z.number().min(0),
  cachedInput: z.number().min(0).optional(),
  cacheWrite: z.number().min(0).optional(),
});

const LogOptions = z.strictObject({
  level: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
});

// Falsy entries are skipped, as in the other lists: `[env.has("KEY") && "openai/gpt-5", "simulator/large"]`.
const Targets = z
  .union([z.string().min(1), z.array(z.union([z.string(), z.literal([false, null, undefined, 0])]))])
  .transform((targets) => [targets].flat().filter((target): target is string => typeof target === "string" && target !== ""))
  .meta({ title: '"provider/model", or a list of such' });

/** Everything but the lists of providers and plugins, whose entries bring schemas of their own. */
export const SettingsSchema = z.strictObject({
  server: ServerOptions.prefault({}),
  upstream: UpstreamOptions.prefault({}),
  /** Alias -> one target or several, best first, each `provider/model`. */
  models: z.record(z.string().min(1), Targets).default({}),
  /** `provider/model` -> price; wins over the catalogue. */
  prices: z.record(z.string().min(1), PriceOptions).default({}),
  /**
   * A `postgres://` URL, or `sqlite:` and a path. By default SQLite in the data folder. Opened only when a plugin needs it.
   */
  database: secret().optional(),
  /** Folder for what this machine keeps: the embedded database, and records on their way to a database. */
  data: z.string().min(1).default(".headgate"),
  /** A `redis://` or `rediss://` URL to share small values between instances; memory without it. */
  redis: secret().optional(),
  log: LogOptions.prefault({}),
});

export type Settings = z.output<typeof SettingsSchema>;
