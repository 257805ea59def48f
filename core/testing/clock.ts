import { setImmediate } from "node:timers/promises";
import { type Clock, type Timer, turns } from "../services/clock.ts";

interface Pending {
  /** Monotonic ms. */
  readonly due: number;
  /** Breaks ties: what was set first fires first. */
  readonly order: number;
  readonly fire: () => void;
}

/**
 * A clock that stands still until told otherwise. Monotonic time starts at 0, wall time at `start`; the two move together
 * under `advance` and apart under `shiftWall`.
 */
export class FakeClock implements Clock {
  #monotonic = 0;
  #wall: number;
  #order = 0;
  readonly #pending = new Map<object, Pending>();
  readonly turn = turns();

  constructor(start: Date | string | number = "2026-01-01T00:00:00Z") {
    this.#wall = new Date(start).getTime();
  }

  now(): Date {
    return new Date(this.#wall);
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Timers, intervals and sleeps that have not fired. */
  get pending(): number {
    return this.#pending.size;
  }

  timer(ms: number, callback: () => void): Timer {
    return this.#arm(ms, callback, false);
  }

  interval(ms: number, callback: () => void): Timer {
    return this.#arm(ms, callback, true);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        timer.cancel();
        reject(signal?.reason);
      };
      const timer = this.timer(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Moves both times on by `ms`, firing what falls due in order, each at its own time; promises run between any two. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    for (;;) {
      await setImmediate();
      const next = this.#next();
      if (!next || next[1].due > end) break;
      this.#fire(next);
    }
    this.#moveTo(end);
    await setImmediate();
  }

  /** Fires timers one after the other until `promise` settles: for code that waits for nothing but this clock. */
  async runUntil<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    for (;;) {
      await setImmediate();
      if (settled) return promise;
      const next = this.#next();
      if (next) this.#fire(next);
    }
  }

  /** Moves on to the next timer and fires it; does nothing when there is none. */
  async advanceToNext(): Promise<void> {
    await setImmediate();
    const next = this.#next();
    if (next) this.#fire(next);
    await setImmediate();
  }

  /** Sets the wall clock on (or back, when negative) by `ms`, as an administrator or NTP would; nothing fires. */
  shiftWall(ms: number): void {
    this.#wall += ms;
  }

  #arm(ms: number, callback: () => void, repeat: boolean): Timer {
    const key = {};
    const set = () => {
      // Like Node's timers: nothing is due at once.
      const due = this.#monotonic + Math.max(ms, 1);
      this.#pending.set(key, { due, order: this.#order++, fire });
    };
    const fire = () => {
      if (repeat) set();
      callback();
    };
    set();
    return { refresh: set, cancel: () => void this.#pending.delete(key) };
  }

  #next(): [object, Pending] | undefined {
    let first: [object, Pending] | undefined;
    for (const entry of this.#pending) {
      if (!first || entry[1].due < first[1].due || (entry[1].due === first[1].due && entry[1].order < first[1].order)) first = entry;
    }
    return first;
  }

  #fire([key, pending]: [object, Pending]): void {
    this.#pending.delete(key);
    this.#moveTo(pending.due);
    pending.fire();
  }

  #moveTo(monotonic: number): void {
    if (monotonic <= this.#monotonic) return;
    this.#wall += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }
}
