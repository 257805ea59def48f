import type { Clock, Counter, EventMap, Logger, Timer } from "headgate";
import { amount, type Facts, moment } from "./alert.ts";
import type { UsageNews } from "./announcer.ts";
import type { Thresholds } from "./thresholds.ts";

/** What the quota says of an account when that was used, refused or reset. */
type QuotaEvent = EventMap["quota.used"];

/** News that wait for the database, and accounts whose last alert is remembered. */
const MOST = 10_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export interface UsageWatchParts {
  readonly thresholds: Thresholds;
  readonly clock: Clock;
  readonly logger: Logger;
  /** News lost because too many waited. */
  readonly dropped: Counter;
  announce(news: UsageNews): Promise<boolean>;
  /** Called when something new was told. */
  told(kind: UsageNews["kind"]): void;
}

/**
 * Turns what the quota says into alerts. Taking an event costs a look into memory; what may have to be told waits here,
 * the latest for each account, until the database has decided. While that is away it goes on waiting.
 */
export class UsageWatch {
  readonly #parts: UsageWatchParts;
  readonly #waiting = new Map<string, { readonly kind: UsageNews["kind"]; readonly event: QuotaEvent }>();
  /** The highest level known to have been told, by account, window and kind. */
  readonly #told = new Map<string, number>();
  #working: Promise<void> | undefined;
  #pause: Timer | undefined;
  #failures = 0;
  #stopped = false;

  constructor(parts: UsageWatchParts) {
    this.#parts = parts;
  }

  take(kind: UsageNews["kind"], event: QuotaEvent): void {
    const thresholds = this.#parts.thresholds.peek(event.user);
    const level = thresholds ? levelOf(kind, event, thresholds) : Number.POSITIVE_INFINITY;
    // The common case, and the only one for most calls.
    if (level === 0) return;
    const key = JSON.stringify([kind, accountOf(event), event.windowStart]);
    if (level <= this.#level(key)) return;
    if (this.#waiting.size >= MOST && !this.#waiting.has(key)) return this.#parts.dropped.add(1);
    this.#waiting.set(key, { kind, event });
    if (!this.#pause) this.#work();
  }

  /** Tells nothing more; what waits is lost, and found again with the next use. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pause?.cancel();
    await this.#working;
  }

  #work(): void {
    this.#working ??= this.#drain().finally(() => {
      this.#working = undefined;
      // What was taken between the last look and now.
      if (this.#waiting.size > 0 && !this.#pause && !this.#stopped) this.#work();
    });
  }

  async #drain(): Promise<void> {
    for (const [key, news] of this.#waiting) {
      if (this.#stopped) return;
      this.#waiting.delete(key);
      try {
        await this.#tell(key, news.kind, news.event);
        this.#failures = 0;
      } catch (error) {
        // Behind the others, and not in the way of what came meanwhile.
        if (!this.#waiting.has(key)) this.#waiting.set(key, news);
        return this.#waitFor(error);
      }
    }
  }

  #waitFor(error: unknown): void {
    if (this.#failures === 0) this.#parts.logger.warn({ err: error }, "alerts wait for the database");
    const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    if (this.#stopped) return;
    this.#pause = this.#parts.clock.timer(ms, () => {
      this.#pause = undefined;
      this.#work();
    });
  }

  async #tell(key: string, kind: UsageNews["kind"], event: QuotaEvent): Promise<void> {
    const level = levelOf(kind, event, await this.#parts.thresholds.of(event.user));
    if (level <= this.#level(key)) return;
    const { rule, subject, user, windowStart, windowEnd } = event;
    const news = {
      kind,
      account: accountOf(event),
      windowStart,
      windowEnd,
      level: kind === "threshold" ? level : null,
      rule,
      subject,
      user,
    };
    if (await this.#parts.announce({ ...news, facts: factsOf(event, news.level ?? Math.floor(event.percent)) })) this.#parts.told(kind);
    const [oldest] = this.#told.keys();
    if (this.#told.size >= MOST && oldest !== undefined) this.#told.delete(oldest);
    this.#told.set(key, level);
  }

  #level(key: string): number {
    return this.#told.get(key) ?? 0;
  }
}

function accountOf({ rule, subject, unit, window }: QuotaEvent): string {
  return JSON.stringify(["usage", rule, subject, unit, window]);
}

/** The highest threshold reached, 0 for none; other kinds have the one level 1. */
function levelOf(kind: UsageNews["kind"], { percent }: QuotaEvent, thresholds: readonly number[]): number {
  if (kind !== "threshold") return 1;
  return Math.max(0, ...thresholds.filter((threshold) => threshold <= percent));
}

/** As one says it of a quota. */
const WINDOWS: Readonly<Record<string, string>> = { day: "daily", week: "weekly", month: "monthly", once: "one-time" };

function factsOf({ unit, window, windowEnd, used, limit, additional }: QuotaEvent, percent: number): Facts {
  const whole = limit + additional;
  return {
    percent: String(percent),
    used: amount(unit, used),
    limit: amount(unit, whole),
    remaining: amount(unit, Math.max(0, whole - used)),
    unit,
    window: WINDOWS[window] ?? window,
    resets: windowEnd === null ? "never" : moment(windowEnd),
  };
}
