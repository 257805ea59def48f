import type { Clock, Events, Timer } from "headgate";
import type { Booked, LedgerAccount } from "./books.ts";
import type { Balance } from "./budget.ts";

/** What the books say of one limit. Amounts in tokens, calls or nano-dollars, times in epoch ms. */
interface QuotaNews {
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

const USED_EVERY_MS = 1_000;
const BLOCKED_EVERY_MS = 1_000;
/** Limits whose last refusal is remembered. */
const MOST = 20_000;

/** Tells others how budgets stand, with the books' own numbers. */
export class News {
  readonly #events: Events;
  readonly #clock: Clock;
  readonly #blockedAt = new Map<string, number>();
  /** Booked since the last time it was told. */
  readonly #changed = new Map<string, Booked>();
  #pause: Timer | undefined;

  constructor(events: Events, clock: Clock) {
    this.#events = events;
    this.#clock = clock;
  }

  /** Tells at once, or with what else is booked within the same second. */
  booked(accounts: readonly Booked[]): void {
    for (const account of accounts) this.#changed.set(account.id, account);
    if (!this.#pause) this.flush();
  }

  /** Tells what has not been told yet. */
  flush(): void {
    this.#pause?.cancel();
    this.#pause = undefined;
    if (this.#changed.size === 0) return;
    for (const account of this.#changed.values()) this.#events.emit("quota.used", newsOf(account, account));
    this.#changed.clear();
    this.#pause = this.#clock.timer(USED_EVERY_MS, () => this.flush());
  }

  /** Tells what has not been told yet, and nothing more by itself. */
  stop(): void {
    this.flush();
    this.#pause?.cancel();
    this.#pause = undefined;
  }

  begun(accounts: readonly Booked[]): void {
    for (const account of accounts) this.#events.emit("quota.reset", newsOf(account, account));
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
