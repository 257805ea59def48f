import { type Database, GatewayError, type PersonalData } from "headgate";
import type { Kind } from "./alert.ts";
import type { AlertTables, SentRow } from "./tables.ts";
import { headline } from "./words.ts";

export interface Page {
  readonly data: readonly Told[];
  /** Where the next page begins; null on the last. */
  readonly next: string | null;
}

/** An alert that was told, as the API shows it. */
interface Told {
  readonly id: string;
  readonly kind: string;
  readonly summary: string;
  readonly rule: string;
  readonly subject: string;
  readonly user: string | null;
  readonly at: string;
  readonly resolvedAt: string | null;
  readonly facts: Readonly<Record<string, string>>;
  /** What became of its messages; for operators alone. */
  readonly deliveries?: readonly {
    readonly channel: string;
    readonly state: string;
    readonly attempts: number;
    readonly error: string | null;
  }[];
}

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly user?: string | undefined;
  readonly deliveries?: boolean;
}

/** Alerts that were told, newest first. */
export async function historyPage(db: Database, { limit, cursor, user, deliveries = false }: PageQuery): Promise<Page> {
  const tables = db.tables<AlertTables>();
  let query = tables.selectFrom("alert_sent").selectAll();
  if (user !== undefined) query = query.where("user_id", "=", user);
  if (cursor !== undefined) {
    const [at, id] = readCursor(cursor);
    query = query.where((eb) => eb.or([eb("sent_at", "<", at), eb.and([eb("sent_at", "=", at), eb("id", "<", id)])]));
  }
  const rows = await query
    .orderBy("sent_at", "desc")
    .orderBy("id", "desc")
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const next = rows.length > limit && last ? writeCursor(last) : null;
  if (!deliveries || page.length === 0) return { data: page.map(shown), next };
  const sent = await tables
    .selectFrom("alert_outbox")
    .select(["alert_id", "channel", "state", "attempts", "error"])
    .where(
      "alert_id",
      "in",
      page.map(({ id }) => id),
    )
    .orderBy("channel")
    .execute();
  const of = (id: string) => sent.filter(({ alert_id }) => alert_id === id).map(({ alert_id: _, ...delivery }) => delivery);
  return { data: page.map((row) => ({ ...shown(row), deliveries: of(row.id) })), next };
}

/** What the tables hold about a user. Once erased, an alert is told again when its cause comes again. */
export function personalData(db: Database): PersonalData {
  return {
    async export(user) {
      const tables = db.reports<AlertTables>();
      const rows = await tables.selectFrom("alert_sent").selectAll().where("user_id", "=", user).orderBy("sent_at").execute();
      const own = await tables.selectFrom("alert_thresholds").select("thresholds").where("user_id", "=", user).executeTakeFirst();
      return { alerts: rows.map(shown), alertThresholds: own ? JSON.parse(own.thresholds) : null };
    },
    erase: (user) =>
      db.transaction<AlertTables, number>(async (tables) => {
        const erased = [
          await tables.deleteFrom("alert_outbox").where("user_id", "=", user).executeTakeFirst(),
          await tables.deleteFrom("alert_sent").where("user_id", "=", user).executeTakeFirst(),
          await tables.deleteFrom("alert_thresholds").where("user_id", "=", user).executeTakeFirst(),
        ];
        return erased.reduce((sum, { numDeletedRows }) => sum + Number(numDeletedRows), 0);
      }),
  };
}

function shown(row: SentRow): Told {
  const { id, rule, subject, user_id: user, sent_at, resolved_at } = row;
  const kind = row.kind as Kind;
  const facts = JSON.parse(row.facts);
  const resolvedAt = resolved_at === null ? null : new Date(resolved_at).toISOString();
  const summary = headline({ id, kind, rule, subject, user, at: sent_at, facts });
  return { id, kind, summary, rule, subject, user, at: new Date(sent_at).toISOString(), resolvedAt, facts };
}

function writeCursor({ sent_at, id }: SentRow): string {
  return Buffer.from(`${sent_at} ${id}`).toString("base64url");
}

function readCursor(cursor: string): [at: number, id: string] {
  const [at = "", id = ""] = Buffer.from(cursor, "base64url").toString().split(" ");
  if (!/^\d{1,15}$/.test(at) || id === "")
    throw new GatewayError("invalid_request", { message: "This cursor is none of ours.", param: "cursor" });
  return [Number(at), id];
}
