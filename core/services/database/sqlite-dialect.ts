import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { DatabaseUnavailable } from "./errors.ts";
import type { Lane } from "./lane.ts";
import type { SqliteThread } from "./sqlite-thread.ts";

/** Kysely over one SQLite thread. Statements go one after the other; while a transaction is open, those outside it wait. */
export class SqliteThreadDialect implements Dialect {
  readonly #thread: SqliteThread;
  readonly #lane: Lane;
  readonly #ms: number;

  /** `ms` is for each statement, its wait for an open transaction included. */
  constructor(thread: SqliteThread, lane: Lane, ms: number) {
    this.#thread = thread;
    this.#lane = lane;
    this.#ms = ms;
  }

  createDriver(): Driver {
    return new ThreadDriver(this.#thread, this.#lane, this.#ms);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new TransactionalAdapter();
  }

  // biome-ignore lint/suspicious/noExplicitAny: as Kysely declares it.
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

/** SQLite's tables are created and altered in a transaction like any other change, so that a migration is whole or not there. */
class TransactionalAdapter extends SqliteAdapter {
  /** Or Kysely would let one in at a time itself, and have the others wait without a deadline. */
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class ThreadDriver implements Driver {
  readonly #thread: SqliteThread;
  readonly #lane: Lane;
  readonly #ms: number;

  constructor(thread: SqliteThread, lane: Lane, ms: number) {
    this.#thread = thread;
    this.#lane = lane;
    this.#ms = ms;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<ThreadConnection> {
    return new ThreadConnection(this.#thread, this.#lane, this.#ms);
  }

  beginTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as ThreadConnection).begin();
  }

  commitTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as ThreadConnection).commit();
  }

  rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as ThreadConnection).rollback();
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {}
}

class ThreadConnection implements DatabaseConnection {
  readonly #thread: SqliteThread;
  readonly #lane: Lane;
  readonly #ms: number;
  /** The thread's life in which a transaction was begun; in another one it would not be there. */
  #inside: number | undefined;
  #idle: NodeJS.Timeout | undefined;
  #givenUp = false;

  constructor(thread: SqliteThread, lane: Lane, ms: number) {
    this.#thread = thread;
    this.#lane = lane;
    this.#ms = ms;
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.#inside !== undefined || this.#givenUp) return this.#within(sql, parameters);
    if (this.#lane.free) return this.#thread.run(sql, parameters, this.#ms);
    await this.#enter();
    const result = this.#thread.run<Row>(sql, parameters, this.#ms);
    // The thread keeps the order; what waits next need not wait for the answer.
    this.#lane.leave();
    return result;
  }

  // biome-ignore lint/correctness/useYield: it only refuses.
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error("rows of the embedded database cannot be streamed; read them in pages");
  }

  /** Writes are announced at once: a transaction that became one later could find that another process was faster. */
  async begin(): Promise<void> {
    await this.#enter();
    try {
      await this.#raw("begin immediate");
      this.#inside = this.#thread.life;
      // Whoever leaves a transaction open and does nothing in it keeps all others waiting; PostgreSQL is set to the same.
      this.#idle = setTimeout(() => this.#giveUp(), 2 * this.#ms);
      this.#idle.unref();
    } catch (error) {
      // It may have begun after all, when the answer came too late.
      await this.#raw("rollback").catch(() => undefined);
      this.#lane.leave();
      throw error;
    }
  }

  async commit(): Promise<void> {
    await this.#within("commit", []);
    this.#leave();
  }

  async rollback(): Promise<void> {
    // It fails where SQLite has already rolled back (a full disk), and with the thread the transaction is gone as well.
    if (!this.#givenUp) await this.#raw("rollback").catch(() => undefined);
    this.#leave();
  }

  async #enter(): Promise<void> {
    if (!(await this.#lane.enter(this.#ms))) throw new DatabaseUnavailable(`an open transaction did not end within ${this.#ms} ms`);
  }

  #leave(): void {
    if (this.#inside === undefined) return;
    this.#inside = undefined;
    clearTimeout(this.#idle);
    this.#lane.leave();
  }

  #giveUp(): void {
    this.#givenUp = true;
    // Before whatever those say who come next: the thread keeps the order.
    this.#raw("rollback").catch(() => undefined);
    this.#leave();
  }

  async #within<Row>(sql: string, parameters: readonly unknown[]): Promise<QueryResult<Row>> {
    if (this.#givenUp) throw new DatabaseUnavailable("the transaction was left open for too long");
    this.#idle?.refresh();
    if (this.#inside !== this.#thread.life) throw new DatabaseUnavailable("the database's thread ended within the transaction");
    return this.#thread.run(sql, parameters, this.#ms);
  }

  #raw(sql: string): Promise<QueryResult<unknown>> {
    return this.#thread.run(sql, [], this.#ms);
  }
}
