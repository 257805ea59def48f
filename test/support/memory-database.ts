import { DatabaseSync } from "node:sqlite";
import type { Database, Migrations } from "headgate";
import { Kysely, SqliteDialect } from "kysely";

export interface MemoryDatabase extends Database {
  away: boolean;
  /** The next transaction is committed, and rejects with "lost" all the same. */
  losing: boolean;
}

/**
 * SQLite without a thread of its own, so that what works on it is driven by a fake clock alone, and that can be away, or lose
 * an answer, at a word. For everything else there is `databases.ts`.
 */
export async function memoryDatabase(migrations: Migrations): Promise<MemoryDatabase> {
  const file = new DatabaseSync(":memory:");
  const state = { away: false, losing: false };
  const prepare = (sql: string) => {
    if (state.away) throw new Error("away");
    const statement = file.prepare(sql);
    return {
      reader: statement.columns().length > 0,
      all: (parameters: readonly unknown[]) => statement.all(...(parameters as never[])),
      run: (parameters: readonly unknown[]) => statement.run(...(parameters as never[])),
      iterate: (parameters: readonly unknown[]) => statement.iterate(...(parameters as never[])),
    };
  };
  const db = new Kysely<never>({ dialect: new SqliteDialect({ database: { prepare, close: () => file.close() } as never }) });
  for (const step of Object.values(migrations)) await step(db, "sqlite");
  const listeners = new Set<(topic: string, message: string) => void>();
  let tail: Promise<unknown> = Promise.resolve();
  return {
    get away() {
      return state.away;
    },
    set away(away) {
      state.away = away;
    },
    get losing() {
      return state.losing;
    },
    set losing(losing) {
      state.losing = losing;
    },
    dialect: "sqlite",
    tables: () => db as never,
    reports: () => db as never,
    transaction: (work) => {
      const done = tail.then(async () => {
        const result = await db.transaction().execute(work as never);
        if (!state.losing) return result;
        state.losing = false;
        throw new Error("lost");
      });
      tail = done.catch(() => undefined);
      return done as never;
    },
    publish: async (topic, message) => {
      for (const listener of listeners) listener(topic, message);
    },
    subscribe: (topic, listener) => {
      const each = (on: string, message: string) => void (on === topic && listener(message));
      listeners.add(each);
      return () => listeners.delete(each);
    },
    health: () => ({ status: "ok" }),
  };
}
