import { token } from "../di.ts";

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
  stop(): Promise<void>;
}

export const KeyValue = token<KeyValue>("key-value");
