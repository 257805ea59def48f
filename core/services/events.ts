import { token } from "../di.ts";
import type { ErrorCode } from "../errors.ts";
import type { Caller } from "../exchange.ts";
import { Logger } from "./logger.ts";

/**
 * Events that plugins and the core tell each other about, by name. A plugin adds its own by declaration merging:
 * `declare module "headgate" { interface EventMap { "quota.blocked": { user: string } } }`.
 */
export interface EventMap {
  /** The chain was swapped for the one of a newly loaded config. */
  "gateway.reloaded": { plugins: string[] };
  /** Shutdown began; readiness is already 503. */
  "gateway.draining": Record<never, never>;
  /** The control plane answered a call that could change something, or refused one: the raw material of an audit trail. */
  "api.handled": {
    readonly caller: Caller | undefined;
    readonly ip: string;
    readonly requestId: string;
    readonly method: string;
    /** The route's own path, such as `/api/users/:id`. */
    readonly route: string;
    readonly params: Readonly<Record<string, string>>;
    /** The request's body, values under secret-looking names masked. */
    readonly body: unknown;
    readonly status: number;
    /** Why it was refused or failed; absent when all went well. */
    readonly error?: ErrorCode;
    /** Id of what a POST answered with, such as the user it made. */
    readonly made?: string;
  };
  /** A plugin threw, hung or broke the contract; `failMode` says what the chain did about it. */
  "plugin.failed": { plugin: string; phase: "before" | "after" | "settled"; failMode: "open" | "closed"; error: unknown };
}

/** Synchronous, typed publish and subscribe. A listener that throws is logged and never reaches the emitter. */
export interface Events {
  on<Name extends keyof EventMap>(name: Name, listener: (event: EventMap[Name]) => void): () => void;
  emit<Name extends keyof EventMap>(name: Name, event: EventMap[Name]): void;
}

export const Events = token<Events>("events", (scope) => {
  const listeners = new Map<string, Set<(event: never) => void>>();
  return {
    on(name, listener) {
      const set = listeners.get(name) ?? new Set();
      listeners.set(name, set.add(listener));
      return () => set.delete(listener);
    },
    emit(name, event) {
      for (const listener of listeners.get(name) ?? []) {
        try {
          listener(event as never);
        } catch (error) {
          scope.get(Logger).error({ err: error, event: name }, "an event listener threw");
        }
      }
    },
  };
});
