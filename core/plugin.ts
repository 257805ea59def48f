import type { z } from "zod";
import type { Binding, Injected, Token } from "./di.ts";
import type { Exchange } from "./exchange.ts";
import type { ApiRoute } from "./http/api.ts";
import type { Migrations } from "./services/database.ts";
import type { EventMap } from "./services/events.ts";
import type { PersonalData } from "./services/personal-data.ts";

/**
 * Everything a plugin can do. All members are optional.
 *
 * A plugin takes part in a call through `handle`:
 * - `await next()` goes on down the chain and returns when the answer is committed: the whole JSON, or the first content
 *   of a stream. What fails before that point has not been seen by the client.
 * - Answer the call yourself by setting `exchange.reply` and not calling `next`.
 * - Refuse it by throwing a `GatewayError`; the client reads it in its own dialect.
 * - Change the request by assigning a new object: `exchange.request = { ...exchange.request, temperature: 0 }`.
 * - Leave word of what you decided with `exchange.note("…")`.
 * - What comes after the end (billing, storing, counting) goes into `exchange.onSettled(outcome => …)`.
 * - Give `exchange.signal` to whatever you wait for.
 */
export interface PluginHooks {
  handle?(exchange: Exchange, next: Next): Promise<void> | void;
  /** Opens what the plugin needs, in chain order, before the port opens. */
  start?(): Promise<void> | void;
  /** Closes it again, in reverse order, after the last call has settled. Has ten seconds. */
  stop?(): Promise<void> | void;
  /** Its part of the HTTP API. */
  routes?: readonly ApiRoute[];
  /**
   * Its tables, brought up to date before `start`; names are its own and never change once published. Reads and writes go
   * through the `Database` service, which the plugin injects.
   */
  migrations?: Migrations;
  /** What it keeps about a person, for the right of access and the right to erasure. */
  personalData?: PersonalData;
  /**
   * Told of what a command changed on this machine without the gateway, before the command ends. No plugin has been
   * started then. What it throws is shown, and makes the command fail.
   */
  onCommand?(event: EventMap["api.handled"]): Promise<void>;
  /** Services for the plugins after it. */
  services?: readonly Binding[];
  /** What `/health` says of it. Must answer from memory. */
  health?(): Health;
  /** What whoever starts the gateway at a terminal is to know. Asked once it is up. */
  announce?(): Announcement;
}

export interface Announcement {
  /** Lines of the banner: a word, and what it is. */
  readonly lines?: readonly (readonly [label: string, text: string])[];
  /** Headers with which a first call is let in; the command that the banner offers to paste has them. */
  readonly headers?: Readonly<Record<string, string>>;
}

export type Next = () => Promise<void>;

export interface Health {
  readonly status: "ok" | "degraded" | "down";
  /** What is wrong, without secrets. */
  readonly detail?: string;
}

export interface PluginDefinition<Schema extends z.ZodType, Tokens extends Record<string, Token<unknown>>> {
  /** One name everywhere: folder, config, logs, metrics. */
  name: string;
  /** A strict schema (`z.strictObject`) with its defaults inside. Parsed once at boot, then frozen. */
  options: Schema;
  /**
   * Services by local name; a token carries its type. What has to outlive a reload of the config goes into a token of the
   * plugin's own with a fallback: that is built once a gateway, from the gateway's own services, when it is first asked for.
   */
  inject?: Tokens;
  /** Plugins that must stand earlier in the chain, where they are present. */
  after?: readonly string[];
  /** Plugins that must stand later in the chain, where they are present. */
  before?: readonly string[];
  /**
   * What the chain does when this plugin itself throws, hangs or breaks the contract: `closed` fails the call, `open`
   * goes on without the plugin. A GatewayError thrown on purpose is not a fault. `closed` by default.
   */
  failMode?: "open" | "closed";
  /** Whether it may call `next` again once the last try has settled (failover). */
  reenters?: boolean;
  /** Builds the instance. Must not do I/O; that is what `start` is for. */
  setup(options: z.output<Schema>, deps: Injected<Tokens>): PluginHooks;
}

/** A plugin as it stands in a config: checked and built at boot. */
export interface PluginEntry {
  readonly kind: "plugin";
  readonly definition: PluginDefinition<z.ZodType, Record<string, Token<unknown>>>;
  readonly options: unknown;
}

/** A plugin without options, services or life of its own. */
export interface InlinePlugin extends Pick<PluginHooks, "handle"> {
  readonly name: string;
}

/** The argument is optional exactly when the schema accepts `{}`. */
type OptionsArgument<Schema extends z.ZodType> =
  Record<never, never> extends z.input<Schema> ? [options?: z.input<Schema>] : [options: z.input<Schema>];

/** Returns the factory used in a config: `plugins: [stamp({ header: "x-when" })]`. */
export function definePlugin<Schema extends z.ZodType, Tokens extends Record<string, Token<unknown>> = Record<never, never>>(
  definition: PluginDefinition<Schema, Tokens>,
): (...argument: OptionsArgument<Schema>) => PluginEntry {
  return (...[options]) => ({ kind: "plugin", definition: definition as unknown as PluginEntry["definition"], options: options ?? {} });
}
