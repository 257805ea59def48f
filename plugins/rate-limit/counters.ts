/**
 * Counts in sliding windows, cut into sixteenths (a sliding log with its entries gathered; compare "sliding window
 * counters", but nothing is interpolated: the oldest sixteenth counts whole until all of it is outside). So no stretch of
 * time as long as the window ever holds more than the limit, and a slot is free again at most a sixteenth late.
 */

export const SLOTS = 16;

/** One counter that a call touches. */
export interface Claim {
  /** Limit and subject. */
  readonly key: string;
  readonly cost: number;
  readonly amount: number;
  /** 0 for what is in flight. */
  readonly windowMs: number;
  /** Most within one slot; `amount` where there is no other. */
  readonly burst: number;
}

/** How a counter stands after a call was let in, or when it was not. */
export interface Standing {
  readonly used: number;
  /** In ms: until all that is counted now has left the window. */
  readonly resetMs: number;
}

export type Verdict =
  | { readonly kind: "admitted"; readonly standings: readonly Standing[]; readonly slots: readonly number[] }
  | { readonly kind: "refused"; readonly at: number; readonly standing: Standing /** In ms: until it may do. */; readonly retryMs: number };

/** Counters kept; those used longest ago go first. */
const MOST = 100_000;

interface Window {
  /** Counts by slot, `newest` modulo their number; one more than the window has, for the part that is leaving. */
  readonly counts: Float64Array;
  /** Number of the newest slot since the beginning of time. */
  newest: number;
  sum: number;
}

/** The counters of this process. All that a call touches are looked at first and changed together, or not at all. */
export class LocalCounters {
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();
  readonly #inFlight = new Map<string, number>();

  /** `now` in monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Lets a call in when all its counters have room; `share` is this process's part of each limit. */
  take(claims: readonly Claim[], share = 1): Verdict {
    const now = this.#now();
    for (let at = 0; at < claims.length; at++) {
      const refused = this.#refusal(claims[at] as Claim, now, share);
      if (refused) return { kind: "refused", at, ...refused };
    }
    const standings: Standing[] = [];
    const slots: number[] = [];
    for (const { key, cost, windowMs } of claims) {
      if (windowMs === 0) {
        const used = (this.#inFlight.get(key) ?? 0) + 1;
        this.#inFlight.set(key, used);
        standings.push({ used, resetMs: 0 });
        slots.push(0);
      } else {
        const slotMs = windowMs / SLOTS;
        const window = this.#window(key, Math.floor(now / slotMs));
        const at = window.newest % window.counts.length;
        window.counts[at] = (window.counts[at] as number) + cost;
        window.sum += cost;
        standings.push({ used: window.sum, resetMs: resetOf(window, slotMs, now) });
        slots.push(window.newest);
      }
    }
    return { kind: "admitted", standings, slots };
  }

  /** Puts right what a call was counted with, in the slot in which it was. */
  correct(key: string, slot: number, by: number): void {
    const window = this.#windows.get(key);
    if (!window || by === 0 || slot <= window.newest - window.counts.length) return;
    const at = slot % window.counts.length;
    const changed = Math.max(0, (window.counts[at] as number) + by);
    window.sum += changed - (window.counts[at] as number);
    window.counts[at] = changed;
  }

  release(key: string): void {
    const left = (this.#inFlight.get(key) ?? 0) - 1;
    if (left > 0) this.#inFlight.set(key, left);
    else this.#inFlight.delete(key);
  }

  /** Calls in flight, over all counters. */
  get inFlight(): number {
    let sum = 0;
    for (const count of this.#inFlight.values()) sum += count;
    return sum;
  }

  #refusal({ key, cost, amount, windowMs, burst }: Claim, now: number, share: number): { standing: Standing; retryMs: number } | undefined {
    const limit = Math.max(1, Math.floor(amount * share));
    if (windowMs === 0) {
      const used = this.#inFlight.get(key) ?? 0;
      return used + 1 > limit ? { standing: { used, resetMs: 0 }, retryMs: 1_000 } : undefined;
    }
    // More than the whole limit never fits; all else fits into what is empty, also where this process has only a share.
    if (cost > amount) return { standing: { used: this.#windows.get(key)?.sum ?? 0, resetMs: 0 }, retryMs: windowMs };
    if (!this.#windows.has(key)) return undefined;
    const slotMs = windowMs / SLOTS;
    const window = this.#window(key, Math.floor(now / slotMs));
    const standing = { used: window.sum, resetMs: resetOf(window, slotMs, now) };
    if (window.sum > 0 && window.sum + cost > limit) return { standing, retryMs: retryOf(window, slotMs, now, limit - cost) };
    const current = window.counts[window.newest % window.counts.length] as number;
    const most = Math.max(1, Math.floor(burst * share));
    return current > 0 && current + cost > most ? { standing, retryMs: (window.newest + 1) * slotMs - now } : undefined;
  }

  /** The window with its slots moved on to `slot`; what has left it is forgotten. */
  #window(key: string, slot: number): Window {
    let window = this.#windows.get(key);
    if (!window) {
      window = { counts: new Float64Array(SLOTS + 1), newest: slot, sum: 0 };
      if (this.#windows.size >= MOST) this.#windows.delete(this.#windows.keys().next().value as string);
    } else if (slot > window.newest) {
      const passed = Math.min(slot - window.newest, window.counts.length);
      for (let step = 1; step <= passed; step++) {
        const at = (slot - passed + step) % window.counts.length;
        window.sum -= window.counts[at] as number;
        window.counts[at] = 0;
      }
      window.newest = slot;
      this.#windows.delete(key);
    } else return window;
    this.#windows.set(key, window);
    return window;
  }
}

/** When the last slot with anything in it has left the window. */
function resetOf({ counts, newest }: Window, slotMs: number, now: number): number {
  for (let back = 0; back < counts.length; back++) {
    if ((counts[(newest - back + counts.length) % counts.length] as number) > 0)
      return Math.max(0, Math.ceil((newest - back + counts.length) * slotMs - now));
  }
  return 0;
}

/** When so much has left the window that at most `room` is in it. */
function retryOf({ counts, newest, sum }: Window, slotMs: number, now: number, room: number): number {
  let left = sum;
  for (let back = counts.length - 1; back >= 0; back--) {
    left -= counts[(newest - back + counts.length) % counts.length] as number;
    if (left <= room) return Math.max(1, Math.ceil((newest - back + counts.length) * slotMs - now));
  }
  return Math.ceil(counts.length * slotMs);
}
