import type { Migrations } from "headgate";
import { sql } from "kysely";
import { type Head, type Link, START } from "./chain.ts";

export interface DetailsRow {
  readonly seq: number;
  readonly salt: string;
  readonly details: string;
}

export interface AuditTables {
  audit_log: Link;
  /** Beside the chain, so that it can be erased. */
  audit_details: DetailsRow;
  /** One row: the end of the chain, and the lock of whoever adds to it. */
  audit_head: Head & { readonly id: number };
}

export const migrations: Migrations = {
  "001_log": async (db, dialect) => {
    await db.schema
      .createTable("audit_log")
      .addColumn("seq", "bigint", (column) => column.primaryKey())
      .addColumn("id", "text", (column) => column.notNull().unique())
      .addColumn("at", "bigint", (column) => column.notNull())
      .addColumn("actor_user", "text")
      .addColumn("actor_key", "text")
      .addColumn("actor_role", "text")
      .addColumn("action", "text", (column) => column.notNull())
      .addColumn("target", "text", (column) => column.notNull())
      .addColumn("status", "integer", (column) => column.notNull())
      .addColumn("count", "bigint", (column) => column.notNull())
      .addColumn("details_hash", "text", (column) => column.notNull())
      .addColumn("prev_hash", "text", (column) => column.notNull())
      .addColumn("hash", "text", (column) => column.notNull())
      .execute();
    for (const column of ["actor_user", "actor_key", "action", "at"]) {
      await db.schema.createIndex(`audit_log_${column}`).on("audit_log").columns([column, "seq"]).execute();
    }
    await db.schema
      .createTable("audit_details")
      .addColumn("seq", "bigint", (column) => column.primaryKey())
      .addColumn("salt", "text", (column) => column.notNull())
      .addColumn("details", "text", (column) => column.notNull())
      .execute();
    await db.schema
      .createTable("audit_head")
      .addColumn("id", "integer", (column) => column.primaryKey())
      .addColumn("seq", "bigint", (column) => column.notNull())
      .addColumn("hash", "text", (column) => column.notNull())
      .execute();
    await db
      .insertInto("audit_head")
      .values({ id: 1, ...START })
      .execute();
    for (const statement of dialect === "sqlite" ? SQLITE_GUARDS : POSTGRES_GUARDS) await statement.execute(db);
  },
};

const SQLITE_GUARDS = [
  sql`create trigger audit_log_no_update before update on audit_log begin select raise(abort, 'audit_log is append-only'); end`,
  sql`create trigger audit_log_no_delete before delete on audit_log begin select raise(abort, 'audit_log is append-only'); end`,
  sql`create trigger audit_details_no_update before update on audit_details begin select raise(abort, 'audit_details may only be erased'); end`,
];

const POSTGRES_GUARDS = [
  sql`create function audit_refuse() returns trigger language plpgsql as $$ begin raise exception '% is append-only', tg_table_name; end $$`,
  sql`create trigger audit_log_no_change before update or delete or truncate on audit_log execute function audit_refuse()`,
  sql`create trigger audit_details_no_update before update on audit_details execute function audit_refuse()`,
];
