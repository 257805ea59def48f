import type { Kysely, Transaction } from "kysely";
import { token } from "../di.ts";
import type { Health } from "../plugin.ts";

export { type BulkTable, insertNew } from "./database/bulk.ts";
export { isUnavailable } from "./database/errors.ts";

export type SqlDialect = "sqlite" | "postgres";

// biome-ignore lint/suspicious/noExplicitAny: a migration sees tables as they were at its time, which no type of today describes.
export type Schemaless = Kysely<any>;

/** Steps by name, run once each in the order of their names, each in a transaction. */
export type Migrations = Readonly<Record<string, (db: Schemaless, dialect: SqlDialect) => Promise<void>>>;

/**
 * SQL storage: SQLite in a file of its own by default, PostgreSQL by URL. What a plugin sends has to run on both. Opened
 * when it is first asked for. Every statement has a deadline; a request that must not wait for one uses `within`.
 */
export interface Database {
  readonly dialect: SqlDialect;
  /** For short statements: five seconds at most. */
  tables<Tables>(): Kysely<Tables>;
  /** For reads that may take long: half a minute, on connections of their own, so that nothing else waits for them. */
  reports<Tables>(): Kysely<Tables>;
  /**
   * Runs `work` in one transaction, and again when the database says that another try may do (deadlock, serialisation,
   * connection lost): at most five times, with jitter. So `work` has to have the same effect when an earlier try turns out
   * to have been committed.
   */
  transaction<Tables, Result>(work: (tables: Transaction<Tables>) => Promise<Result>): Promise<Result>;
  /** Tells every instance on this database, this one included. Best effort: a message may be lost with a connection. */
  publish(topic: string, message: string): Promise<void>;
  /** `null` says that messages may have been missed: whatever was learnt from them is to be looked up anew. Returns how to end it. */
  subscribe(topic: string, listener: (message: string | null) => void): () => void;
  health(): Health;
}

export const Database = token<Database>("database");
