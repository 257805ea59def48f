import type { PostgresServer } from "../support/postgres.ts";
import { startPostgres } from "../support/postgres.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import type { Candidate } from "./candidates.ts";

type Variable = NonNullable<Candidate["needs"]>[number];

/** The database and the cache that a proxy needs, started when the first one does. */
export class Servers {
  #postgres: Promise<PostgresServer> | undefined;
  #redis: Promise<RedisServer> | undefined;

  async tell(needs: readonly Variable[]): Promise<Record<string, string>> {
    const told: Record<string, string> = {};
    for (const variable of needs)
      told[variable] = variable === "BENCH_REDIS_URL" ? (await this.#redisServer()).url : await this.#database();
    return told;
  }

  stop(): void {
    void this.#postgres?.then((server) => server.stop());
    void this.#redis?.then((server) => server.stop());
  }

  async #database(): Promise<string> {
    this.#postgres ??= startPostgres();
    return (await this.#postgres).database("bench");
  }

  #redisServer(): Promise<RedisServer> {
    this.#redis ??= startRedis();
    return this.#redis;
  }
}
