import type { Migrations, Role } from "headgate";

export const STATUSES = ["active", "suspended", "blocked", "pending"] as const;
export type Status = (typeof STATUSES)[number];

/** Times are epoch ms. */
export interface UserRow {
  readonly id: string;
  /** In lower case, so that it is unique in any spelling. */
  readonly email: string | null;
  /** What somebody else calls this user: `jwt/<subject>` or `forwarded/<id>`. */
  readonly external_id: string | null;
  readonly name: string | null;
  readonly plan: string;
  readonly team: string | null;
  readonly segment: string;
  readonly role: Role;
  readonly status: Status;
  /** Why the status is what it is; shown to the user. */
  readonly status_reason: string | null;
  /** For those who administer; never shown to the user. */
  readonly notes: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface KeyRow {
  readonly id: string;
  readonly hash: string;
  readonly last4: string;
  readonly name: string;
  readonly user_id: string | null;
  readonly role: Role;
  /** 1 when it may name the end user. */
  readonly trusted: number;
  /** JSON lists; null for no restriction. */
  readonly models: string | null;
  readonly routes: string | null;
  readonly ips: string | null;
  readonly expires_at: number | null;
  /** 0 for never. */
  readonly rotate_every_days: number;
  /** When it is to be rotated. */
  readonly rotate_at: number | null;
  /** When that was last told. */
  readonly rotation_told_at: number | null;
  readonly rotated_from: string | null;
  readonly replaced_by: string | null;
  /** Once replaced: until when it works beside its successor. */
  readonly overlap_until: number | null;
  readonly revoked_at: number | null;
  readonly last_used_at: number | null;
  readonly created_at: number;
}

/** The proof that a user's data was erased. */
export interface ErasureRow {
  readonly id: string;
  /** SHA-256 of the user's id, so that the proof names nobody to those who do not know it. */
  readonly user_hash: string;
  /** JSON: plugin -> records touched. */
  readonly counts: string;
  /** Who asked for it: id of a user or key. */
  readonly erased_by: string;
  readonly created_at: number;
  /** Null while it is under way, or broke off. */
  readonly finished_at: number | null;
}

export interface Tables {
  users: UserRow;
  keys: KeyRow;
  erasures: ErasureRow;
}

export const migrations: Migrations = {
  "001-users-and-keys": async (db) => {
    await db.schema
      .createTable("users")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("email", "text", (column) => column.unique())
      .addColumn("external_id", "text", (column) => column.unique())
      .addColumn("name", "text")
      .addColumn("plan", "text", (column) => column.notNull())
      .addColumn("team", "text")
      .addColumn("segment", "text", (column) => column.notNull())
      .addColumn("role", "text", (column) => column.notNull())
      .addColumn("status", "text", (column) => column.notNull())
      .addColumn("status_reason", "text")
      .addColumn("notes", "text")
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .addColumn("updated_at", "bigint", (column) => column.notNull())
      .execute();
    await db.schema.createIndex("users_created").on("users").columns(["created_at", "id"]).execute();
    await db.schema
      .createTable("keys")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("hash", "text", (column) => column.notNull().unique())
      .addColumn("last4", "text", (column) => column.notNull())
      .addColumn("name", "text", (column) => column.notNull())
      .addColumn("user_id", "text")
      .addColumn("role", "text", (column) => column.notNull())
      .addColumn("trusted", "integer", (column) => column.notNull())
      .addColumn("models", "text")
      .addColumn("routes", "text")
      .addColumn("ips", "text")
      .addColumn("expires_at", "bigint")
      .addColumn("rotate_every_days", "integer", (column) => column.notNull())
      .addColumn("rotate_at", "bigint")
      .addColumn("rotation_told_at", "bigint")
      .addColumn("rotated_from", "text")
      .addColumn("replaced_by", "text")
      .addColumn("overlap_until", "bigint")
      .addColumn("revoked_at", "bigint")
      .addColumn("last_used_at", "bigint")
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .execute();
    await db.schema.createIndex("keys_created").on("keys").columns(["created_at", "id"]).execute();
    await db.schema.createIndex("keys_user").on("keys").column("user_id").execute();
    await db.schema.createIndex("keys_rotate").on("keys").column("rotate_at").execute();
    await db.schema
      .createTable("erasures")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("user_hash", "text", (column) => column.notNull())
      .addColumn("counts", "text", (column) => column.notNull())
      .addColumn("erased_by", "text", (column) => column.notNull())
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .addColumn("finished_at", "bigint")
      .execute();
    await db.schema.createIndex("erasures_created").on("erasures").columns(["created_at", "id"]).execute();
  },
};
