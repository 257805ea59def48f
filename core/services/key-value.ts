import { token } from "../di.ts";
import { Clock } from "./clock.ts";
import { MemoryKeyValue } from "./key-value-memory.ts";
import { RedisKeyValue } from "./key-value-redis.ts";
import type { RedisLink } from "./redis.ts";

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

/** In Redis where there is a link to one, else in memory. Does no I/O. */
export function createKeyValue(clock: Clock, redis: RedisLink | undefined): KeyValue {
  return redis ? new RedisKeyValue(redis) : new MemoryKeyValue(clock);
}

export const KeyValue = token<KeyValue>("key-value", (scope) => new MemoryKeyValue(scope.get(Clock)));
