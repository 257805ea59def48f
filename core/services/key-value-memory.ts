import type { KeyvStoreAdapter } from "keyv";
import type { Clock } from "./clock.ts";
import type { KeyValue } from "./key-value.ts";
import { JsonStore, toJson } from "./key-value-store.ts";

/** Entries and characters kept; the entry used longest ago goes first. */
const LIMITS = { entries: 10_000, characters: 32 * 1024 * 1024 };

interface Entry {
  readonly text: string;
  /** Monotonic ms. */
  readonly expires: number;
}

/** The default store: this process's own memory. */
export class MemoryKeyValue implements KeyValue {
  readonly #store: JsonStore;

  constructor(clock: Clock, limits = LIMITS) {
    this.#store = new JsonStore(new BoundedMemory(clock, limits));
  }

  get<T>(key: string): Promise<T | undefined> {
    return this.#store.get<T>(key);
  }

  async set(key: string, value: unknown, ttl: number): Promise<boolean> {
    return this.#store.set(key, toJson(value), ttl);
  }

  async delete(key: string): Promise<boolean> {
    await this.#store.delete(key);
    return true;
  }

  healthy(): boolean {
    return true;
  }

  async stop(): Promise<void> {}
}

/** A Keyv adapter over a Map in order of use. Expiry follows the injected clock. */
export class BoundedMemory implements KeyvStoreAdapter {
  readonly opts = {};
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #limits: typeof LIMITS;
  #characters = 0;
  #sweptAt = 0;

  constructor(clock: Clock, limits: typeof LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    const entry = this.#take(key);
    if (!entry || entry.expires <= this.#clock.monotonic()) return undefined;
    this.#put(key, entry);
    return entry.text as Value;
  }

  async set(key: string, text: string, ttl: number): Promise<boolean> {
    const now = this.#clock.monotonic();
    this.#sweep(now);
    this.#take(key);
    this.#put(key, { text, expires: now + ttl });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limits.entries && this.#characters <= this.#limits.characters) break;
      this.#take(oldest);
    }
    return true;
  }

  async delete(key: string): Promise<boolean> {
    return this.#take(key) !== undefined;
  }

  async clear(): Promise<void> {
    this.#entries.clear();
    this.#characters = 0;
  }

  on(): this {
    return this;
  }

  #put(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#characters += entry.text.length;
  }

  #take(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry && this.#entries.delete(key)) this.#characters -= entry.text.length;
    return entry;
  }

  /** At most every ten seconds, and only while something is written: no timer of its own to stop. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < 10_000) return;
    this.#sweptAt = now;
    for (const [key, { expires }] of this.#entries) if (expires <= now) this.#take(key);
  }
}
