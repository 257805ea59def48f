import { type Database, type Page, type PersonalData, page, pageOf, pageQuery } from "headgate";
import { z } from "zod";
import { KINDS, type Kind } from "./alert.ts";
import type { AlertTables, SentRow } from "./tables.ts";
import { headline } from "./words.ts";

const ORDER = { sent_at: "integer", id: "text" } as const;

export const HistoryQuery = pageQuery(ORDER);

const time = z.iso.datetime();

/** An alert that was told, as the API shows it. */
const Told = z.strictObject({
  id: z.string(),
  kind: z.enum(KINDS),
  summary: z.string(),
  rule: z.string(),
  subject: z.string(),
  user_id: z.string().nullable(),
  sent_at: time,
  resolved_at: time.nullable(),
  facts: z.record(z.string(), z.string()),
});
type Told = z.output<typeof Told>;

/** What became of the messages, for operators alone. */
const Delivery = z.strictObject({ channel: z.string(), state: z.string(), attempts: z.int(), error: z.string().nullable() });
type Delivery = z.output<typeof Delivery>;

export const OwnHistory = pageOf(Told);
export const History = pageOf(Told.extend({ deliveries: z.array(Delivery) }));

/** Alerts that were told, newest first; of one user, or of all. */
export function historyPage(db: Database, query: z.output<typeof HistoryQuery>, user?: string): Promise<Page<Told>> {
  const all = db.tables<AlertTables>().selectFrom("alert_sent").selectAll();
  return page(user === undefined ? all : all.where("user_id", "=", user), query, shown, ORDER);
}

/** The same page with what became of the messages of each. */
export async function withDeliveries(db: Database, page: Page<Told>): Promise<Page<Told & { deliveries: Delivery[] }>> {
  const ids = page.data.map(({ id }) => id);
  const columns = ["alert_id", "channel", "state", "attempts", "error"] as const;
  const rows =
    ids.length === 0
      ? []
      : await db.tables<AlertTables>().selectFrom("alert_outbox").select(columns).where("alert_id", "in", ids).orderBy("channel").execute();
  const byAlert = Map.groupBy(rows, ({ alert_id }) => alert_id);
  const deliveries = (id: string) => (byAlert.get(id) ?? []).map(({ alert_id: _, ...delivery }) => delivery);
  return { ...page, data: page.data.map((told) => ({ ...told, deliveries: deliveries(told.id) })) };
}

/** What the tables hold about a user. Once erased, an alert is told again when its cause comes again. */
export function personalData(db: Database): PersonalData {
  return {
    async export(user) {
      const tables = db.reports<AlertTables>();
      const rows = await tables.selectFrom("alert_sent").selectAll().where("user_id", "=", user).orderBy("sent_at").execute();
      const own = await tables.selectFrom("alert_thresholds").select("thresholds").where("user_id", "=", user).executeTakeFirst();
      return { alerts: rows.map(shown), alert_thresholds: own ? JSON.parse(own.thresholds) : null };
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

function shown({ id, kind, rule, subject, user_id, sent_at, resolved_at, facts }: SentRow): Told {
  const alert = { id, kind: kind as Kind, rule, subject, user: user_id, at: sent_at, facts: JSON.parse(facts) };
  const iso = (at: number) => new Date(at).toISOString();
  return {
    id,
    kind: alert.kind,
    summary: headline(alert),
    rule,
    subject,
    user_id,
    sent_at: iso(sent_at),
    resolved_at: resolved_at === null ? null : iso(resolved_at),
    facts: alert.facts,
  };
}
