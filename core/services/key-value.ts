import { token } from "../di.ts";
import { Clock } from "./clock.ts";
import { MemoryKeyValue } from "./key-value-memory.ts";
import { RedisKeyValue } from "./key-value-redis.ts";
import type { Logger } from "./logger.ts";

/**
 * A shared store for small, short-lived values (JSON). Memory by default, Redis by URL. Every call answers within its
 * own deadline: a store that is away reads as a miss and writes as `false`, and never delays a request further.
 */
export interface KeyValue {
  /** Undefined when absent, expired, or when the store is away. */
  get<T>(key: string): Promise<T | undefined>;
  /** `ttl` in milliseconds. False when the store did not confirm in time. */
  set(key: string, value: unknown, ttl: number): Promise<boolean>;
  /** False when the store did not confirm in time. */
  delete(key: string): Promise<boolean>;
  /** Whether the last calls reached the store. */
  healthy(): boolean;
  /** Connects in the background, so that `healthy` is true to life before the first call; without it the first call does. */
  start?(): void;
  stop(): Promise<void>;
}

export interface KeyValueOptions {
  /** `redis://` or `rediss://`; memory without it. */
  readonly url?: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Does no I/O. */
export function createKeyValue({ url, clock, logger }: KeyValueOptions): KeyValue {
  return url === undefined ? new MemoryKeyValue(clock) : new RedisKeyValue(url, clock, logger);
}

export const KeyValue = token<KeyValue>("key-value", (scope) => new MemoryKeyValue(scope.get(Clock)));
