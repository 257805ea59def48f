import type { KeyValue } from "./key-value.ts";
import { JsonStore, toJson } from "./key-value-store.ts";
import type { RedisClient, RedisLink } from "./redis.ts";

/** The key-value store in Redis, over the connection that all share. */
export class RedisKeyValue implements KeyValue {
  readonly #link: RedisLink;
  #store: JsonStore | undefined;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  get<T>(key: string): Promise<T | undefined> {
    return this.#link.ask(undefined, async (client) => (await this.#over(client)).get<T>(key));
  }

  async set(key: string, value: unknown, ttl: number): Promise<boolean> {
    const json = toJson(value);
    return this.#link.ask(false, async (client) => (await this.#over(client)).set(key, json, ttl));
  }

  delete(key: string): Promise<boolean> {
    return this.#link.ask(false, async (client) => {
      await (await this.#over(client)).delete(key);
      return true;
    });
  }

  healthy(): boolean {
    return this.#link.healthy();
  }

  start(): void {
    this.#link.start();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async #over(client: RedisClient): Promise<JsonStore> {
    if (!this.#store) {
      const { default: KeyvRedis } = await import("@keyv/redis");
      this.#store ??= new JsonStore(new KeyvRedis(client, { throwOnErrors: true }));
    }
    return this.#store;
  }
}
