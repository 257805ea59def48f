import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Kysely, type Transaction } from "kysely";
import type { Health } from "../../plugin.ts";
import type { Migrations, Schemaless } from "../database.ts";
import type { Logger } from "../logger.ts";
import type { Random } from "../random.ts";
import { Lane } from "./lane.ts";
import { lockFile } from "./lock.ts";
import { pendingSteps, runSteps } from "./migrate.ts";
import type { OwnedDatabase } from "./owned.ts";
import { withRetries } from "./retry.ts";
import { SqliteThreadDialect } from "./sqlite-dialect.ts";
import { SqliteThread } from "./sqlite-thread.ts";
import { Topics } from "./topics.ts";

/** Deadlines of one statement, in ms. */
const DEADLINE = { statement: 5_000, report: 30_000, migration: 3_600_000 } as const;
const MEMORY = ":memory:";

/** SQLite in one file: one thread that writes, so that nobody waits for a lock, and one that reads reports. */
export class SqliteDatabase implements OwnedDatabase {
  readonly dialect = "sqlite";
  readonly #path: string;
  readonly #random: Random;
  readonly #topics: Topics;
  readonly #writer: SqliteThread;
  readonly #reader: SqliteThread | undefined;
  readonly #tables: Schemaless;
  readonly #reports: Schemaless;
  readonly #migrating: Schemaless;
  #unlock: (() => void) | undefined;

  /** `path` is a file, or `:memory:`, which has no second connection: reports share the first. */
  constructor(path: string, random: Random, logger: Logger) {
    this.#path = path === MEMORY ? path : resolve(path);
    this.#random = random;
    this.#topics = new Topics(logger);
    this.#writer = new SqliteThread({ path: this.#path, readOnly: false }, () => this.#topics.tellAll());
    const lane = new Lane();
    this.#tables = new Kysely({ dialect: new SqliteThreadDialect(this.#writer, lane, DEADLINE.statement) });
    this.#migrating = new Kysely({ dialect: new SqliteThreadDialect(this.#writer, lane, DEADLINE.migration) });
    if (this.#path === MEMORY) {
      this.#reports = this.#tables;
    } else {
      this.#reader = new SqliteThread({ path: this.#path, readOnly: true });
      this.#reports = new Kysely({ dialect: new SqliteThreadDialect(this.#reader, new Lane(), DEADLINE.report) });
    }
  }

  /** Statements sent and not answered. */
  get waiting(): number {
    return this.#writer.pending;
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

  /** Other processes see that the file has changed, which tells them as much. */
  async publish(topic: string, message: string): Promise<void> {
    this.#topics.tell(topic, message);
  }

  subscribe(topic: string, listener: (message: string | null) => void): () => void {
    return this.#topics.add(topic, listener);
  }

  health(): Health {
    return { status: "ok" };
  }

  async claim(): Promise<void> {
    if (this.#path === MEMORY || this.#unlock) return;
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    this.#unlock = await lockFile(this.#path);
  }

  pending(migrations: Migrations): ReturnType<typeof pendingSteps> {
    return pendingSteps(this.#migrating, migrations);
  }

  migrate(migrations: Migrations): Promise<string[]> {
    return runSteps(this.#migrating, this.dialect, migrations);
  }

  async close(): Promise<void> {
    await this.#reader?.close();
    await this.#writer.close();
    this.#unlock?.();
    this.#unlock = undefined;
  }
}
