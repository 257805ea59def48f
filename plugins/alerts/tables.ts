import type { Migrations } from "headgate";
import type { Generated, Insertable, Selectable } from "kysely";

export interface AlertTables {
  alert_sent: SentTable;
  alert_outbox: OutboxTable;
  alert_thresholds: ThresholdTable;
}

/** One row for each alert there ever was; the unique key decides that there is but one. Times are epoch ms. */
interface SentTable {
  id: string;
  key: string;
  kind: string;
  /** Alerts of one account follow each other: 80 %, 95 %, blocked, reset. */
  account: string;
  rule: string;
  subject: string;
  user_id: string | null;
  /** The threshold reached, in percent. */
  level: number | null;
  window_start: number | null;
  /** Null also where the window never ends. */
  window_end: number | null;
  sent_at: number;
  /** When an instance last saw that a health alert still fires. */
  seen_at: number | null;
  /** When a condition no longer held, or the window of a usage alert was over. */
  resolved_at: number | null;
  /** The facts, as JSON. */
  facts: string;
}

/** One row for each message to one recipient over one channel. */
interface OutboxTable {
  id: string;
  alert_id: string;
  channel: string;
  /** A user's id; empty for the channel's own audience. */
  recipient: string;
  /** The alert, as JSON. */
  payload: string;
  user_id: string | null;
  state: "waiting" | "sent" | "given_up";
  attempts: Generated<number>;
  /** Nobody may try before; whoever tries moves it on first, so that it is a lease as well. */
  next_at: number;
  created_at: number;
  sent_at: number | null;
  error: string | null;
}

interface ThresholdTable {
  user_id: string;
  /** A list of percents, as JSON. */
  thresholds: string;
  updated_at: number;
}

export type SentRow = Selectable<SentTable>;
export type NewOutboxRow = Insertable<OutboxTable>;
export type OutboxRow = Selectable<OutboxTable>;

export const migrations: Migrations = {
  "001-alerts": async (db) => {
    await db.schema
      .createTable("alert_sent")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("key", "text", (column) => column.notNull().unique())
      .addColumn("kind", "text", (column) => column.notNull())
      .addColumn("account", "text", (column) => column.notNull())
      .addColumn("rule", "text", (column) => column.notNull())
      .addColumn("subject", "text", (column) => column.notNull())
      .addColumn("user_id", "text")
      .addColumn("level", "integer")
      .addColumn("window_start", "bigint")
      .addColumn("window_end", "bigint")
      .addColumn("sent_at", "bigint", (column) => column.notNull())
      .addColumn("seen_at", "bigint")
      .addColumn("resolved_at", "bigint")
      .addColumn("facts", "text", (column) => column.notNull())
      .execute();
    await db.schema.createIndex("alert_sent_account").on("alert_sent").columns(["account", "sent_at"]).execute();
    await db.schema.createIndex("alert_sent_user").on("alert_sent").columns(["user_id", "sent_at", "id"]).execute();
    await db.schema.createIndex("alert_sent_resolved").on("alert_sent").column("resolved_at").execute();
    await db.schema.createIndex("alert_sent_time").on("alert_sent").columns(["sent_at", "id"]).execute();
    await db.schema
      .createTable("alert_outbox")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("alert_id", "text", (column) => column.notNull())
      .addColumn("channel", "text", (column) => column.notNull())
      .addColumn("recipient", "text", (column) => column.notNull())
      .addColumn("payload", "text", (column) => column.notNull())
      .addColumn("user_id", "text")
      .addColumn("state", "text", (column) => column.notNull())
      .addColumn("attempts", "integer", (column) => column.notNull().defaultTo(0))
      .addColumn("next_at", "bigint", (column) => column.notNull())
      .addColumn("created_at", "bigint", (column) => column.notNull())
      .addColumn("sent_at", "bigint")
      .addColumn("error", "text")
      .execute();
    await db.schema.createIndex("alert_outbox_alert").on("alert_outbox").column("alert_id").execute();
    await db.schema.createIndex("alert_outbox_due").on("alert_outbox").columns(["state", "channel", "next_at"]).execute();
    await db.schema
      .createTable("alert_thresholds")
      .addColumn("user_id", "text", (column) => column.primaryKey())
      .addColumn("thresholds", "text", (column) => column.notNull())
      .addColumn("updated_at", "bigint", (column) => column.notNull())
      .execute();
  },
};
