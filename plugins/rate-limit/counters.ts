/**
 * Counts in sliding windows, cut into sixteenths (a sliding log with its entries gathered; compare "sliding window
 * counters", but nothing is interpolated: the oldest sixteenth counts whole until all of it is outside). So no stretch of
 * time as long as the window ever holds more than the limit, and a slot is free again at most a sixteenth late.
 */

import type { Unit } from "./limit-text.ts";

export const SLOTS = 16;

/** One counter that a call touches. */
export interface Claim {
  /** What is counted, and whose. */
  readonly key: string;
  readonly unit: Unit;
  readonly cost: number;
  readonly amount: number;
  /** 0 for what is in flight. */
  readonly windowMs: number;
  /** Most within any stretch as long as one slot; `amount` where there is no other. */
  readonly burst: number;
}

/** How a counter stands after a call was let in, or when it was not. */
export interface Standing {
  readonly used: number;
  /** In ms: until all that is counted now has left the window. */
  readonly resetMs: number;
}

export interface Admission {
  readonly kind: "admitted";
  readonly standings: readonly Standing[];
  /** In which slots it was counted, 0 for what is in flight. */
  readonly slots: readonly number[];
}

export interface Refusal {
  readonly kind: "refused";
  /** Index of the claim that had no room. */
  readonly at: number;
  readonly standing: Standing;
  /** In ms: until it may do. */
  readonly retryMs: number;
}

export type Verdict = Admission | Refusal;

/** Counters kept of those used lately, and as many again of those used before. */
const MOST = 50_000;

const WHOLE = () => 1;

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
  readonly #inFlight = new Map<string, number>();
  #recent = new Map<string, Window>();
  /** Once the recent ones are too many, they come here, and whatever is used from here is recent again. */
  #older = new Map<string, Window>();

  /** `now` in monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts a call when all its counters have room; `share` says which part of each limit is this process's. */
  take(claims: readonly Claim[], share: (claim: Claim) => number = WHOLE): Verdict {
    const now = this.#now();
    const refusal = this.#refusal(claims, share, now);
    if (refusal) return refusal;
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
        const window = this.#window(key) ?? this.#opened(key, now, slotMs);
        moveOn(window, now, slotMs);
        const at = window.newest % window.counts.length;
        window.counts[at] = (window.counts[at] as number) + cost;
        window.sum += cost;
        standings.push({ used: window.sum, resetMs: resetOf(window, slotMs, now) });
        slots.push(window.newest);
      }
    }
    return { kind: "admitted", standings, slots };
  }

  /** Why a call would not be let in; counts nothing. */
  refusal(claims: readonly Claim[], share: (claim: Claim) => number = WHOLE): Refusal | undefined {
    return this.#refusal(claims, share, this.#now());
  }

  /** Puts right what a call was counted with, in the slot in which it was. */
  correct(key: string, slot: number, by: number): void {
    const window = by === 0 ? undefined : this.#window(key);
    if (!window || slot <= window.newest - window.counts.length) return;
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

  #refusal(claims: readonly Claim[], share: (claim: Claim) => number, now: number): Refusal | undefined {
    for (let at = 0; at < claims.length; at++) {
      const claim = claims[at] as Claim;
      const { key, cost, amount, windowMs, burst } = claim;
      const part = share(claim);
      const limit = Math.max(1, Math.floor(amount * part));
      if (windowMs === 0) {
        const used = this.#inFlight.get(key) ?? 0;
        if (used + 1 > limit) return { kind: "refused", at, standing: { used, resetMs: 0 }, retryMs: 1_000 };
        continue;
      }
      const window = this.#window(key);
      if (!window) continue;
      const slotMs = windowMs / SLOTS;
      moveOn(window, now, slotMs);
      const retryMs = waitOf(window, cost, limit, Math.max(1, Math.floor(burst * part)), slotMs, now);
      if (retryMs > 0) return { kind: "refused", at, standing: { used: window.sum, resetMs: resetOf(window, slotMs, now) }, retryMs };
    }
    return undefined;
  }

  #window(key: string): Window | undefined {
    const recent = this.#recent.get(key);
    if (recent) return recent;
    const older = this.#older.get(key);
    if (older) this.#keep(key, older);
    return older;
  }

  #opened(key: string, now: number, slotMs: number): Window {
    const window = { counts: new Float64Array(SLOTS + 1), newest: Math.floor(now / slotMs), sum: 0 };
    this.#keep(key, window);
    return window;
  }

  #keep(key: string, window: Window): void {
    if (this.#recent.size >= MOST) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, window);
  }
}

/** Empties the slots that have left the window. */
function moveOn(window: Window, now: number, slotMs: number): void {
  const slot = Math.floor(now / slotMs);
  const passed = Math.min(slot - window.newest, window.counts.length);
  if (passed <= 0) return;
  for (let step = 1; step <= passed; step++) {
    const at = (slot - passed + step) % window.counts.length;
    window.sum -= window.counts[at] as number;
    window.counts[at] = 0;
  }
  window.newest = slot;
}

/** In ms: until `cost` has room; 0 when it has now. Whatever the cost, it fits into what is empty. */
function waitOf(window: Window, cost: number, limit: number, burst: number, slotMs: number, now: number): number {
  const { counts, newest, sum } = window;
  if (sum === 0) return 0;
  if (sum + cost > limit) return retryOf(window, slotMs, now, limit - cost);
  // What came just now may have come at the very end of the slot before.
  const current = counts[newest % counts.length] as number;
  const before = counts[(newest - 1 + counts.length) % counts.length] as number;
  if (current + before === 0 || current + before + cost <= burst) return 0;
  const slots = current === 0 || current + cost <= burst ? 1 : 2;
  return Math.max(1, Math.ceil((newest + slots) * slotMs - now));
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
