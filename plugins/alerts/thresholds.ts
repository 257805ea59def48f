import type { Clock, Database } from "headgate";
import type { AlertTables } from "./tables.ts";

/** For how long what was read is good without word of a change, in ms. */
const FRESH_MS = 5 * 60_000;
const KEPT = 10_000;
const TOPIC = "alerts.thresholds";

interface Entry {
  readonly thresholds: readonly number[];
  /** Monotonic ms. */
  readonly until: number;
}

/** At which percents users want to be told, where they differ from everybody's. */
export class Thresholds {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #everybody: readonly number[];
  readonly #cache = new Map<string, Entry>();

  constructor(db: Database, clock: Clock, everybody: readonly number[]) {
    this.#db = db;
    this.#clock = clock;
    this.#everybody = everybody;
  }

  /** Hears of changes made elsewhere; returns how to end it. */
  listen(): () => void {
    return this.#db.subscribe(TOPIC, (user) => (user === null ? this.#cache.clear() : this.#cache.delete(user)));
  }

  /** What is known without asking the database. */
  peek(user: string | null): readonly number[] | undefined {
    if (user === null) return this.#everybody;
    const entry = this.#cache.get(user);
    return entry && entry.until > this.#clock.monotonic() ? entry.thresholds : undefined;
  }

  async of(user: string | null): Promise<readonly number[]> {
    const known = this.peek(user);
    if (known || user === null) return known ?? this.#everybody;
    const thresholds = (await this.own(user)) ?? this.#everybody;
    const [oldest] = this.#cache.keys();
    if (this.#cache.size >= KEPT && oldest !== undefined) this.#cache.delete(oldest);
    this.#cache.set(user, { thresholds, until: this.#clock.monotonic() + FRESH_MS });
    return thresholds;
  }

  /** The user's own, from the database; undefined for one who has none. */
  async own(user: string): Promise<number[] | undefined> {
    const tables = this.#db.tables<AlertTables>();
    const row = await tables.selectFrom("alert_thresholds").select("thresholds").where("user_id", "=", user).executeTakeFirst();
    return row && JSON.parse(row.thresholds);
  }

  /** Null gives the user everybody's again. */
  async set(user: string, thresholds: readonly number[] | null): Promise<void> {
    const tables = this.#db.tables<AlertTables>();
    if (thresholds === null) await tables.deleteFrom("alert_thresholds").where("user_id", "=", user).execute();
    else {
      const values = { thresholds: JSON.stringify(thresholds), updated_at: this.#clock.now().getTime() };
      await tables
        .insertInto("alert_thresholds")
        .values({ user_id: user, ...values })
        .onConflict((conflict) => conflict.column("user_id").doUpdateSet(values))
        .execute();
    }
    this.#cache.delete(user);
    await this.#db.publish(TOPIC, user);
  }
}
