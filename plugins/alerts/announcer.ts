import type { Clock, Database, Ids } from "headgate";
import type { Transaction } from "kysely";
import type { Alert, Facts } from "./alert.ts";
import type { Channel } from "./channels/channel.ts";
import type { AlertTables, NewOutboxRow } from "./tables.ts";

/** Something that may have to be told about what somebody used. */
export interface UsageNews {
  readonly kind: "threshold" | "blocked" | "reset";
  /** What the quota counts for one subject, over all its windows. */
  readonly account: string;
  /** Epoch ms. */
  readonly windowStart: number;
  /** Null when it never begins anew. */
  readonly windowEnd: number | null;
  /** The threshold reached, in percent; null for other kinds. */
  readonly level: number | null;
  readonly rule: string;
  readonly subject: string;
  readonly user: string | null;
  readonly facts: Facts;
}

/** A condition that holds. */
export interface HealthNews {
  readonly rule: string;
  readonly subject: string;
  readonly facts: Facts;
}

const HOUR_MS = 3_600_000;
/** An episode that no instance has seen for so long is over, in ms: two looks of a minute, and some. */
const UNSEEN_MS = 150_000;

/**
 * Decides, in the database and so for all instances together, what is told; notes it and puts it in the outbox, both in
 * one transaction. Each answers whether something new was told.
 */
export class Announcer {
  readonly #db: Database;
  readonly #channels: readonly Channel[];
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(db: Database, channels: readonly Channel[], clock: Clock, ids: Ids) {
    this.#db = db;
    this.#channels = channels;
    this.#clock = clock;
    this.#ids = ids;
  }

  /** Once per account, window and kind; a threshold only while no higher one was told. A reset only to those who were warned before it. */
  usage(news: UsageNews): Promise<boolean> {
    const { kind, account, windowStart, windowEnd, level } = news;
    // A call may settle after its window is over; that is of no use to anybody by then.
    if (windowEnd !== null && windowEnd <= this.#now()) return Promise.resolve(false);
    return this.#db.transaction<AlertTables, boolean>(async (tables) => {
      const earlier = tables.selectFrom("alert_sent").where("account", "=", account);
      if (level !== null) {
        const higher = earlier.where("window_start", "=", windowStart).where("level", ">", level);
        if (await higher.select("id").limit(1).executeTakeFirst()) return false;
      }
      if (kind === "reset") {
        const last = await earlier
          .where("window_start", "<", windowStart)
          .select("kind")
          .orderBy("sent_at", "desc")
          .limit(1)
          .executeTakeFirst();
        if (!last || last.kind === "reset") return false;
      }
      const row = { account, level, window_start: windowStart, window_end: windowEnd };
      return this.#tell(tables, this.#alert(news), [kind, account, windowStart, level], row);
    });
  }

  /** Once per episode, and at most once an hour for a rule and subject. An episode lasts while this is called for it. */
  health(news: HealthNews): Promise<boolean> {
    const now = this.#now();
    const account = JSON.stringify(["health", news.rule, news.subject]);
    return this.#db.transaction<AlertTables, boolean>(async (tables) => {
      const last = await tables
        .selectFrom("alert_sent")
        .where("account", "=", account)
        .select(["id", "sent_at", "resolved_at"])
        .orderBy("sent_at", "desc")
        .limit(1)
        .executeTakeFirst();
      if (last?.resolved_at === null) {
        await tables.updateTable("alert_sent").set({ seen_at: now }).where("id", "=", last.id).execute();
        return false;
      }
      if (last && last.sent_at > now - HOUR_MS) return false;
      const alert = this.#alert({ ...news, kind: "firing", user: null });
      return this.#tell(tables, alert, [account, Math.floor(now / HOUR_MS)], { account, seen_at: now });
    });
  }

  /** Ends the episodes that no instance sees any longer, and tells so. Answers how many. */
  resolve(): Promise<number> {
    const now = this.#now();
    return this.#db.transaction<AlertTables, number>(async (tables) => {
      const over = await tables
        .updateTable("alert_sent")
        .set({ resolved_at: now })
        .where("resolved_at", "is", null)
        .where("seen_at", "<", now - UNSEEN_MS)
        .returning(["id", "rule", "subject", "facts"])
        .execute();
      for (const { id, rule, subject, facts } of over) {
        await this.#post(tables, { id, kind: "resolved", rule, subject, user: null, at: now, facts: JSON.parse(facts) });
      }
      return over.length;
    });
  }

  /** Tells those who were warned that a new window has begun. Answers how many. */
  renew(): Promise<number> {
    const now = this.#now();
    return this.#db.transaction<AlertTables, number>(async (tables) => {
      const over = await tables
        .updateTable("alert_sent")
        .set({ resolved_at: now })
        .where("resolved_at", "is", null)
        .where("window_end", "<=", now)
        .returning(["account", "rule", "subject", "user_id", "window_end", "facts"])
        .execute();
      let told = 0;
      for (const { account, rule, subject, user_id, window_end, facts } of over) {
        const { resets: _, ...rest } = JSON.parse(facts) as Facts;
        const alert = this.#alert({ kind: "reset", rule, subject, user: user_id, facts: rest });
        // The key that the quota's own word of it has as well, and every other warning of the same window.
        if (await this.#tell(tables, alert, ["reset", account, window_end, null], { account, window_start: window_end ?? now })) told += 1;
      }
      return told;
    });
  }

  async #tell(
    tables: Transaction<AlertTables>,
    alert: Alert,
    key: readonly unknown[],
    row: { account: string; level?: number | null; window_start?: number; window_end?: number | null; seen_at?: number },
  ): Promise<boolean> {
    const { id, kind, rule, subject, user, at, facts } = alert;
    const resolved_at = kind === "reset" ? at : null;
    const values = { id, kind, rule, subject, user_id: user, sent_at: at, facts: JSON.stringify(facts), resolved_at };
    const written = await tables
      .insertInto("alert_sent")
      .values({ level: null, window_start: null, window_end: null, seen_at: null, ...values, ...row, key: JSON.stringify(key) })
      .onConflict((conflict) => conflict.column("key").doNothing())
      .returning("id")
      .executeTakeFirst();
    if (!written) return false;
    await this.#post(tables, alert);
    return true;
  }

  async #post(tables: Transaction<AlertTables>, alert: Alert): Promise<void> {
    const rows: NewOutboxRow[] = this.#channels.flatMap((channel) =>
      channel.recipients(alert).map((recipient) => ({
        id: this.#ids.next("alm"),
        alert_id: alert.id,
        channel: channel.name,
        recipient,
        payload: JSON.stringify(alert),
        user_id: alert.user,
        state: "waiting" as const,
        next_at: alert.at,
        created_at: alert.at,
        sent_at: null,
        error: null,
      })),
    );
    if (rows.length > 0) await tables.insertInto("alert_outbox").values(rows).execute();
  }

  #alert(parts: Omit<Alert, "id" | "at">): Alert {
    const { kind, rule, subject, user, facts } = parts;
    return { id: this.#ids.next("alr"), kind, rule, subject, user, at: this.#now(), facts };
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}
