import type { Clock, Events } from "headgate";
import type { Balance } from "./budget.ts";
import type { Booked, LedgerAccount } from "./ledger.ts";

/** What the books say of one limit. Amounts in tokens, calls or nano-dollars, times in epoch ms. */
export interface QuotaNews {
  /** Where in the config. */
  readonly rule: string;
  readonly subject: string;
  /** The user whose limit it is; null for a key's, a team's or everyone's. */
  readonly user: string | null;
  readonly unit: string;
  readonly window: string;
  readonly windowStart: number;
  /** Null when it never begins anew. */
  readonly windowEnd: number | null;
  readonly used: number;
  readonly limit: number;
  /** Bought on top and left. */
  readonly additional: number;
  readonly percent: number;
}

declare module "headgate" {
  interface EventMap {
    /** Something was booked; about once a second for each limit in use. */
    "quota.used": QuotaNews;
    /** A call was refused; at most once a second for each limit. */
    "quota.blocked": QuotaNews & { readonly need: number };
    /** A window has begun after one in which something was used. */
    "quota.reset": QuotaNews;
  }
}

const BLOCKED_EVERY_MS = 1_000;
/** Limits whose last window or refusal is remembered. */
const MOST = 20_000;

/** Tells others how budgets stand, with the books' own numbers. */
export class News {
  readonly #events: Events;
  readonly #clock: Clock;
  readonly #blockedAt = new Map<string, number>();
  /** Start of the last window in which something was booked, by limit. */
  readonly #windows = new Map<string, number>();

  constructor(events: Events, clock: Clock) {
    this.#events = events;
    this.#clock = clock;
  }

  booked(accounts: readonly Booked[]): void {
    for (const account of accounts) {
      const news = newsOf(account, account);
      const limit = `${account.kind}:${account.subject}:${account.unit}:${account.window}`;
      const last = this.#windows.get(limit);
      if (last !== undefined && account.windowStart > last) this.#events.emit("quota.reset", news);
      if (last === undefined || account.windowStart > last) keep(this.#windows, limit, account.windowStart);
      this.#events.emit("quota.used", news);
    }
  }

  blocked(account: LedgerAccount, need: number, balance: Balance): void {
    const now = this.#clock.monotonic();
    if (now - (this.#blockedAt.get(account.id) ?? Number.NEGATIVE_INFINITY) < BLOCKED_EVERY_MS) return;
    keep(this.#blockedAt, account.id, now);
    const { span } = account;
    this.#events.emit("quota.blocked", { ...newsOf({ ...account, windowStart: span.start, windowEnd: span.end }, balance), need });
  }
}

type Known = Pick<Booked, "kind" | "subject" | "unit" | "window" | "windowStart" | "windowEnd" | "rule">;

function newsOf({ kind, subject, unit, window, windowStart, windowEnd, rule }: Known, { used, limit, additional }: Balance): QuotaNews {
  const percent = limit + additional === 0 ? 100 : (used / (limit + additional)) * 100;
  return { rule, subject, user: kind === "user" ? subject : null, unit, window, windowStart, windowEnd, used, limit, additional, percent };
}

function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MOST) map.delete(map.keys().next().value as string);
}
