import type { Clock, Database, Logger, Timer } from "headgate";
import type { Announcer, HealthNews } from "./announcer.ts";
import type { HealthWatch } from "./health-watch.ts";
import type { AlertTables } from "./tables.ts";

const ROUND_MS = 10_000;
/** How often the database hears that a condition still holds, and is asked for episodes and windows that are over. */
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
/** For how long history is kept: longer than any window that begins anew. */
const HISTORY_MS = 400 * DAY_MS;
const OUTBOX_MS = 30 * DAY_MS;

export interface RoundsParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly health: HealthWatch;
  readonly announcer: Announcer;
  /** Whether the start of a new window is told. */
  readonly reset: boolean;
  /** Called for each alert that was told. */
  told(kind: "firing" | "resolved" | "reset"): void;
  /** Called in each round, so that the outbox is looked at. */
  wake(): void;
}

/** What has to be done every few seconds, whether or not anything happens. */
export class Rounds {
  readonly #parts: RoundsParts;
  /** When the database last heard of a condition that holds, in monotonic ms. */
  readonly #heard = new Map<string, number>();
  #timer: Timer | undefined;
  #working: Promise<void> | undefined;
  /** Whether the database could not be asked in the last round. */
  #blind = false;
  #swept = Number.NEGATIVE_INFINITY;
  #pruned = Number.NEGATIVE_INFINITY;

  constructor(parts: RoundsParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = this.#parts.clock.interval(ROUND_MS, () => this.#round());
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#working;
  }

  #round(): void {
    this.#parts.wake();
    this.#working ??= this.#look()
      .then(
        () => {
          this.#blind = false;
        },
        (error) => {
          if (!this.#blind) this.#parts.logger.warn({ err: error }, "health alerts wait for the database");
          this.#blind = true;
        },
      )
      .finally(() => {
        this.#working = undefined;
      });
  }

  async #look(): Promise<void> {
    const { clock, health, announcer, reset, told } = this.#parts;
    const now = clock.monotonic();
    const firing = health.look(now, clock.now().getTime());
    const keys = new Set(firing.map(keyOf));
    for (const key of this.#heard.keys()) if (!keys.has(key)) this.#heard.delete(key);
    for (const news of firing) {
      if (now - (this.#heard.get(keyOf(news)) ?? Number.NEGATIVE_INFINITY) < MINUTE_MS) continue;
      if (await announcer.health(news)) told("firing");
      this.#heard.set(keyOf(news), now);
    }
    if (now - this.#swept >= MINUTE_MS) {
      for (let resolved = await announcer.resolve(); resolved > 0; resolved--) told("resolved");
      for (let renewed = reset ? await announcer.renew() : 0; renewed > 0; renewed--) told("reset");
      this.#swept = now;
    }
    if (now - this.#pruned >= DAY_MS) {
      await this.#prune(clock.now().getTime());
      this.#pruned = now;
    }
  }

  async #prune(at: number): Promise<void> {
    const tables = this.#parts.db.tables<AlertTables>();
    await tables
      .deleteFrom("alert_outbox")
      .where("created_at", "<", at - OUTBOX_MS)
      .execute();
    await tables
      .deleteFrom("alert_sent")
      .where("sent_at", "<", at - HISTORY_MS)
      .execute();
  }
}

function keyOf({ rule, subject }: HealthNews): string {
  return JSON.stringify([rule, subject]);
}
