import type { Migrations } from "headgate";
import { type CreateTableBuilder, type RawBuilder, sql } from "kysely";
import { ATTEMPT, type Column, EXCHANGE } from "./columns.ts";

type Row = Record<string, string | number | null>;

export interface Tables {
  usage_exchanges: ExchangeRow;
  usage_attempts: TryRow;
  /** All tries, wherever they are kept. */
  usage_tries: TryRow;
  usage_days: DayRow;
  usage_contents: { id: string; created_at: number; prompt: string; answer: string | null };
}

type TryRow = Row & { id: string; created_at: number; exchange_id: string };

interface ExchangeRow extends Row {
  id: string;
  created_at: number;
  user_id: string | null;
  key_id: string | null;
  team: string | null;
  requested_model: string;
  model: string | null;
  provider: string | null;
  status: number;
  cost: number | null;
}

/** Sums of a day (UTC) for each user, key, team and model. Empty texts stand for nobody and nothing, so that they can be a key. */
export interface DayRow {
  day: number;
  user_id: string;
  key_id: string;
  team: string;
  provider: string;
  model: string;
  requests: number;
  errors: number;
  cached: number;
  retried: number;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  cache_write_tokens: number;
  reasoning_tokens: number;
  cost: number;
  list_cost: number;
  unpriced: number;
  total_ms: number;
}

export const DAY_KEY = ["day", "user_id", "key_id", "team", "provider", "model"] as const;
export const DAY_SUMS = [
  "requests",
  "errors",
  "cached",
  "retried",
  "input_tokens",
  "output_tokens",
  "cached_tokens",
  "cache_write_tokens",
  "reasoning_tokens",
  "cost",
  "list_cost",
  "unpriced",
  "total_ms",
] as const;

/** `usage_contents`, in the order of its cells in a record. */
export const CONTENT = [
  { name: "id", type: "text" },
  { name: "created_at", type: "bigint" },
  { name: "prompt", type: "text" },
  { name: "answer", type: "text" },
] as const;

/** Columns of a call that came with the second step. */
const ADDED = ["try_id", "try_status"];

export const migrations: Migrations = {
  "001_usage": async (db, dialect) => {
    for (const [table, columns] of [
      ["usage_exchanges", EXCHANGE.filter(({ name }) => !ADDED.includes(name))],
      ["usage_attempts", ATTEMPT],
    ] as const) {
      const built = withColumns(db.schema.createTable(table), columns).addPrimaryKeyConstraint(`${table}_pk`, [
        "id",
        "created_at",
      ] as never);
      await (dialect === "postgres" ? built.modifyEnd(sql`partition by range (created_at)`) : built).execute();
      // What no month has been made for; see partitions.ts.
      if (dialect === "postgres")
        await sql`create table ${sql.table(`${table}_other`)} partition of ${sql.table(table)} default`.execute(db);
    }
    await db.schema.createIndex("usage_exchanges_created").on("usage_exchanges").columns(["created_at", "id"]).execute();
    await db.schema.createIndex("usage_exchanges_user").on("usage_exchanges").columns(["user_id", "created_at"]).execute();
    await db.schema.createIndex("usage_exchanges_by_key").on("usage_exchanges").columns(["key_id", "created_at"]).execute();
    // What failed is looked for among much more that did not; see routes.ts.
    await sql`create index usage_exchanges_failed on usage_exchanges (status, created_at) where status >= 400`.execute(db);
    await db.schema.createIndex("usage_attempts_exchange").on("usage_attempts").column("exchange_id").execute();
    await db.schema
      .createTable("usage_contents")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .addColumn("prompt", "text", (column) => column.notNull())
      .addColumn("answer", "text")
      .execute();
    let days = db.schema.createTable("usage_days").addColumn("day", "bigint", (column) => column.notNull());
    for (const name of DAY_KEY.slice(1)) days = days.addColumn(name, "text", (column) => column.notNull()) as typeof days;
    for (const name of DAY_SUMS) days = days.addColumn(name, "bigint", (column) => column.notNull()) as typeof days;
    await days.addPrimaryKeyConstraint("usage_days_key", [...DAY_KEY] as never).execute();
    await db.schema.createIndex("usage_days_user").on("usage_days").columns(["user_id", "day"]).execute();
  },
  // Nearly every call has one try, whose row would repeat the call's and cost as much again.
  "002_only_try": async (db) => {
    await db.schema.alterTable("usage_exchanges").addColumn("try_id", "text").execute();
    await db.schema.alterTable("usage_exchanges").addColumn("try_status", "bigint").execute();
    const names = ATTEMPT.map(({ name }) => name);
    await sql`create view usage_tries as
      select ${list(names)} from usage_attempts
      union all select ${sql.join(names.map((name) => IN_CALL[name] ?? sql.ref(name)))} from usage_exchanges where try_id is not null`.execute(
      db,
    );
  },
};

/** Where a try's cells are in its call's row, when not under their own names. */
const IN_CALL: Readonly<Record<string, RawBuilder<unknown>>> = {
  id: sql.ref("try_id"),
  exchange_id: sql.ref("id"),
  status: sql.ref("try_status"),
  ms: sql.ref("provider_ms"),
  first_token_ms: sql`first_token_ms - queue_ms`,
};

/** For an upsert into `usage_days`: what is there already grows by what comes. */
export const addToDay = sql`on conflict (${list(DAY_KEY)}) do update set ${sql.join(
  DAY_SUMS.map((name) => sql`${sql.ref(name)} = ${sql.ref(`usage_days.${name}`)} + ${sql.ref(`excluded.${name}`)}`),
)}`;

/** Names of columns, with commas. */
export function list(names: readonly string[]) {
  return sql.join(names.map((name) => sql.ref(name)));
}

function withColumns(table: CreateTableBuilder<string, never>, columns: readonly Column[]) {
  return columns.reduce(
    (built, { name, type }) =>
      built.addColumn(name, type, (column) => (name === "id" || name === "created_at" ? column.notNull() : column)) as never,
    table,
  );
}
