import type { Migrations, SqlDialect } from "headgate";
import { sql } from "kysely";

export interface Tables {
  /** One limit of one subject in one window; `window` is `additional` for what was bought on top. Times in epoch ms. */
  quota_accounts: {
    id: string;
    kind: string;
    subject: string;
    unit: string;
    window: string;
    window_start: number;
    window_end: number | null;
    rule: string;
    limit_amount: number;
    used: number;
    /** Sum of the slices that instances hold. */
    held: number;
  };
  quota_slices: { instance: string; account: string; amount: number };
  /**
   * Up to which record each instance's settlements are booked, and how long its lease lasts. When that has run out and its
   * slices have been released, `expires_at` is null and `lapses` one more.
   */
  quota_instances: { id: string; epoch: number; applied_epoch: number; applied_seq: number; expires_at: number | null; lapses: number };
  /** `charges` is JSON; `closed_at` is when they were charged. */
  quota_orphans: { id: string; reader: string; instance: string; charges: string; closed_at: number | null };
  quota_overrides: { kind: string; subject: string; unit: string; window: string; amount: number };
  quota_transactions: {
    id: string;
    kind: string;
    subject: string;
    unit: string;
    amount: number;
    reference: string;
    note: string | null;
    made_by: string;
    balance_after: number;
    created_at: number;
  };
}

export const migrations: Migrations = {
  "001_quota": async (db) => {
    await db.schema
      .createTable("quota_accounts")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("kind", "text", (column) => column.notNull())
      .addColumn("subject", "text", (column) => column.notNull())
      .addColumn("unit", "text", (column) => column.notNull())
      .addColumn("window", "text", (column) => column.notNull())
      .addColumn("window_start", "bigint", (column) => column.notNull())
      .addColumn("window_end", "bigint")
      .addColumn("rule", "text", (column) => column.notNull())
      .addColumn("limit_amount", "bigint", (column) => column.notNull())
      .addColumn("used", "bigint", (column) => column.notNull().defaultTo(0))
      .addColumn("held", "bigint", (column) => column.notNull().defaultTo(0).check(sql`held >= 0`))
      .execute();
    await db.schema.createIndex("quota_accounts_subject").on("quota_accounts").columns(["kind", "subject", "window_start"]).execute();
    await db.schema
      .createTable("quota_slices")
      .addColumn("instance", "text", (column) => column.notNull())
      .addColumn("account", "text", (column) => column.notNull())
      .addColumn("amount", "bigint", (column) => column.notNull().check(sql`amount >= 0`))
      .addPrimaryKeyConstraint("quota_slices_key", ["instance", "account"])
      .execute();
    await db.schema
      .createTable("quota_instances")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("epoch", "bigint", (column) => column.notNull())
      .addColumn("applied_epoch", "bigint", (column) => column.notNull())
      .addColumn("applied_seq", "bigint", (column) => column.notNull())
      .addColumn("expires_at", "bigint")
      .addColumn("lapses", "bigint", (column) => column.notNull())
      .execute();
    await db.schema
      .createTable("quota_overrides")
      .addColumn("kind", "text", (column) => column.notNull())
      .addColumn("subject", "text", (column) => column.notNull())
      .addColumn("unit", "text", (column) => column.notNull())
      .addColumn("window", "text", (column) => column.notNull())
      .addColumn("amount", "bigint", (column) => column.notNull())
      .addPrimaryKeyConstraint("quota_overrides_key", ["kind", "subject", "unit", "window"])
      .execute();
    await db.schema
      .createTable("quota_transactions")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("kind", "text", (column) => column.notNull())
      .addColumn("subject", "text", (column) => column.notNull())
      .addColumn("unit", "text", (column) => column.notNull())
      .addColumn("amount", "bigint", (column) => column.notNull())
      .addColumn("reference", "text", (column) => column.notNull().unique())
      .addColumn("note", "text")
      .addColumn("made_by", "text", (column) => column.notNull())
      .addColumn("balance_after", "bigint", (column) => column.notNull())
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .execute();
    await db.schema.createIndex("quota_transactions_subject").on("quota_transactions").columns(["subject", "created_at"]).execute();
  },
  "002_quota_orphans": async (db) => {
    await db.schema
      .createTable("quota_orphans")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("reader", "text", (column) => column.notNull())
      .addColumn("instance", "text", (column) => column.notNull())
      .addColumn("charges", "text", (column) => column.notNull())
      .addColumn("closed_at", "bigint")
      .execute();
    await db.schema.createIndex("quota_orphans_reader").on("quota_orphans").columns(["reader", "closed_at"]).execute();
  },
};

/**
 * A list of `[text, integer, integer]` as a table `(id, a, b)`, so that one statement writes many rows. `json` is a
 * parameter, never part of the statement.
 */
export function rowsOf(dialect: SqlDialect, json: string) {
  return dialect === "sqlite"
    ? sql<{ id: string; a: number; b: number }>`(select value ->> 0 as id, value ->> 1 as a, value ->> 2 as b from json_each(${json}))`
    : sql<{
        id: string;
        a: number;
        b: number;
      }>`(select value ->> 0 as id, (value ->> 1)::bigint as a, (value ->> 2)::bigint as b from jsonb_array_elements(${json}::jsonb))`;
}
