import { type Clock, type Counter, type Database, type Logger, type Random, within } from "headgate";
import type { Channel } from "./channels/channel.ts";
import { DeliveryError } from "./channels/channel.ts";
import type { AlertTables, OutboxRow } from "./tables.ts";

/** While one instance tries a message, no other does, in ms: longer than any channel's deadline. */
const LEASE_MS = 60_000;
/** Between two tries of a message, in ms, doubled each time. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 15 * 60_000;
/** A channel that is down is left alone for so long at most, so that it is noticed soon when it is up again. */
const LONGEST_CHANNEL_PAUSE_MS = 5 * 60_000;
const GIVE_UP_MS = 24 * 3_600_000;
const STOP_MS = 5_000;

export interface OutboxParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Labels `channel`, `outcome`: `sent`, `failed` or `given_up`. */
  readonly deliveries: Counter;
}

/** How long to wait after so many tries have failed, in ms: half of it sure, half by chance, so that retries spread out. */
function pauseAfter(failures: number, longest: number, random: Random): number {
  const full = Math.min(longest, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20));
  return Math.round(full / 2 + (full / 2) * random.next());
}

/** Works off the messages of one channel, one at a time, so that one channel holds up no other. */
export class Outbox {
  readonly #channel: Channel;
  readonly #parts: OutboxParts;
  #working: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** How often in a row the channel could not be reached, and until when it is left alone (monotonic ms). */
  #failures = 0;
  #pausedUntil = 0;
  /** Whether the database could not be asked at the last look. */
  #blind = false;
  /** What became of the last message, as long as the database does not know. */
  #unwritten: { readonly id: string; readonly values: Partial<OutboxRow> } | undefined;

  constructor(channel: Channel, parts: OutboxParts) {
    this.#channel = channel;
    this.#parts = parts;
  }

  /** Tries whatever is due; does not wait for it. */
  wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      if (this.#again) this.wake();
    });
  }

  /** Takes no further message, and waits a little for the one at hand; another instance tries that again when it does not get through. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#working) await within(this.#parts.clock, STOP_MS, this.#working).catch(() => undefined);
    this.#channel.close?.();
  }

  async #work(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        while (!this.#stopped && this.#parts.clock.monotonic() >= this.#pausedUntil) {
          await this.#write();
          const row = await this.#claim();
          if (!row) break;
          this.#unwritten = { id: row.id, values: await this.#try(row) };
        }
        await this.#write();
        this.#blind = false;
      } catch (error) {
        // What is due is found again at the next wake.
        if (!this.#blind)
          this.#parts.logger.warn({ err: error, channel: this.#channel.name }, "the outbox of alerts waits for the database");
        this.#blind = true;
      }
    }
  }

  /** Answers what is to be written of it. */
  async #try(row: OutboxRow): Promise<Partial<OutboxRow>> {
    const { id, recipient } = row;
    try {
      await this.#channel.deliver({ id, recipient, alert: JSON.parse(row.payload) });
    } catch (error) {
      return this.#failed(row, error instanceof DeliveryError ? error : new DeliveryError("message", "failed", { cause: error }));
    }
    this.#failures = 0;
    this.#count("sent");
    return { state: "sent", sent_at: this.#now(), error: null };
  }

  #failed(row: OutboxRow, { about, message, cause }: DeliveryError): Partial<OutboxRow> {
    const { clock, random } = this.#parts;
    if (about === "channel") {
      this.#failures += 1;
      this.#pausedUntil = clock.monotonic() + pauseAfter(this.#failures, LONGEST_CHANNEL_PAUSE_MS, random);
    }
    const nextAt = this.#now() + pauseAfter(row.attempts, LONGEST_PAUSE_MS, random);
    const over = about === "never" || nextAt > row.created_at + GIVE_UP_MS;
    this.#count(over ? "given_up" : "failed");
    const fields = {
      channel: this.#channel.name,
      message: row.id,
      attempts: row.attempts,
      reason: message,
      ...(cause ? { err: cause } : {}),
    };
    if (over) this.#parts.logger.error(fields, "an alert could not be delivered and is given up");
    else this.#parts.logger.warn(fields, "an alert could not be delivered; it will be tried again");
    return over ? { state: "given_up", error: message } : { next_at: nextAt, error: message };
  }

  /** The message that is due for longest. Two instances that want the same one: the second finds it moved on, and gets none. */
  async #claim(): Promise<OutboxRow | undefined> {
    const now = this.#now();
    const tables = this.#parts.db.tables<AlertTables>();
    const due = tables
      .selectFrom("alert_outbox")
      .select("id")
      .where("state", "=", "waiting")
      .where("channel", "=", this.#channel.name)
      .where("next_at", "<=", now)
      .orderBy("next_at")
      .limit(1);
    return tables
      .updateTable("alert_outbox")
      .set(({ eb }) => ({ attempts: eb("attempts", "+", 1), next_at: now + LEASE_MS }))
      .where("id", "in", due)
      .where("state", "=", "waiting")
      .where("next_at", "<=", now)
      .returningAll()
      .executeTakeFirst();
  }

  async #write(): Promise<void> {
    if (!this.#unwritten) return;
    const { id, values } = this.#unwritten;
    await this.#parts.db.tables<AlertTables>().updateTable("alert_outbox").set(values).where("id", "=", id).execute();
    this.#unwritten = undefined;
  }

  #count(outcome: string): void {
    this.#parts.deliveries.add(1, { channel: this.#channel.name, outcome });
  }

  #now(): number {
    return this.#parts.clock.now().getTime();
  }
}
