import { Kysely, PostgresDialect, sql, type Transaction } from "kysely";
import type { Health } from "../../plugin.ts";
import type { Migrations, Schemaless } from "../database.ts";
import type { Logger } from "../logger.ts";
import type { Random } from "../random.ts";
import { pendingSteps, runSteps } from "./migrate.ts";
import type { OwnedDatabase } from "./owned.ts";
import { PostgresListener } from "./postgres-listener.ts";
import { createPool } from "./postgres-pool.ts";
import { withRetries } from "./retry.ts";
import { Topics } from "./topics.ts";

/** Deadlines of one statement, in ms. */
const DEADLINE = { statement: 5_000, report: 30_000, migration: 0 } as const;
/** Most connections: for statements by default, for reports, for migrations (and only while they run). */
const MAX = { statements: 10, reports: 2, migrations: 1 } as const;
/** First and longest pause between looks at a server that was away, in ms. */
const PROBE = { first: 1_000, longest: 5_000 } as const;

export interface PostgresOptions {
  /** Most connections for statements; 10 by default. */
  readonly max?: number;
}

/** PostgreSQL, reached through pools that have deadlines on everything and connect anew by themselves. */
export class PostgresDatabase implements OwnedDatabase {
  readonly dialect = "postgres";
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #topics: Topics;
  readonly #listener: PostgresListener;
  readonly #tables: Schemaless;
  readonly #reports: Schemaless;
  readonly #openForMigrations: () => Schemaless;
  #away = false;
  #probe: NodeJS.Timeout | undefined;
  #closed = false;

  /** Throws on what is no PostgreSQL URL, without repeating it: it may hold a password. */
  constructor(url: string, random: Random, logger: Logger, { max = MAX.statements }: PostgresOptions = {}) {
    if (!/^postgres(ql)?:$/.test(URL.parse(url)?.protocol ?? ""))
      throw new Error("`database` needs a postgres:// URL, or sqlite: and a path");
    this.#random = random;
    this.#logger = logger;
    this.#topics = new Topics(logger);
    this.#listener = new PostgresListener(url, random, this.#topics);
    const onOutcome = (available: boolean) => this.#noticed(available);
    const open = (most: number, statementMs: number) =>
      new Kysely<unknown>({ dialect: new PostgresDialect({ pool: () => createPool({ url, max: most, statementMs, onOutcome }) }) });
    this.#tables = open(max, DEADLINE.statement);
    this.#reports = open(MAX.reports, DEADLINE.report);
    this.#openForMigrations = () => open(MAX.migrations, DEADLINE.migration);
  }

  tables<Tables>(): Kysely<Tables> {
    return this.#tables;
  }

  reports<Tables>(): Kysely<Tables> {
    return this.#reports;
  }

  transaction<Tables, Result>(work: (tables: Transaction<Tables>) => Promise<Result>): Promise<Result> {
    return withRetries(this.#random, () => this.tables<Tables>().transaction().execute(work));
  }

  async publish(topic: string, message: string): Promise<void> {
    const { channel, payload } = this.#listener.notify(topic, message);
    this.#topics.tell(topic, message);
    await sql`select pg_notify(${channel}, ${payload})`.execute(this.#tables);
  }

  subscribe(topic: string, listener: (message: string | null) => void): () => void {
    this.#listener.start();
    return this.#topics.add(topic, listener);
  }

  health(): Health {
    return this.#away ? { status: "degraded", detail: "postgres does not answer" } : { status: "ok" };
  }

  /** Any number of gateways may share it. */
  async claim(): Promise<void> {}

  pending(migrations: Migrations): ReturnType<typeof pendingSteps> {
    return pendingSteps(this.#tables, migrations);
  }

  async migrate(migrations: Migrations): Promise<string[]> {
    // A step may take long, and so may another process that has the lock.
    const db = this.#openForMigrations();
    try {
      return await runSteps(db, this.dialect, migrations);
    } finally {
      await db.destroy();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#probe);
    await this.#listener.stop();
    await Promise.all([this.#tables.destroy(), this.#reports.destroy()]);
  }

  #noticed(available: boolean): void {
    if (available === !this.#away) return;
    this.#away = !available;
    if (available) {
      clearTimeout(this.#probe);
      this.#logger.info("PostgreSQL is back");
    } else {
      this.#logger.warn("PostgreSQL does not answer");
      this.#probeAfter(PROBE.first);
    }
  }

  /** So that it is known to be back before anybody needs it. */
  #probeAfter(pause: number): void {
    if (this.#closed) return;
    this.#probe = setTimeout(() => {
      sql`select 1`.execute(this.#tables).catch(() => this.#probeAfter(Math.min(pause * 2, PROBE.longest)));
    }, pause).unref();
  }
}
