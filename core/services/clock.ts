import { token } from "../di.ts";

/** A cancellable timer; `refresh` starts its full time anew. */
export interface Timer {
  refresh(): void;
  cancel(): void;
}

/** Time, wall and monotonic, and everything that waits on it. Replaced by a fake in tests. */
export interface Clock {
  /** Wall time, for what people read. */
  now(): Date;
  /** Monotonic milliseconds with fractions, for measuring intervals; unaffected by clock changes. */
  monotonic(): number;
  /** Calls back once after `ms`. Never keeps the process alive. */
  timer(ms: number, callback: () => void): Timer;
  /** Calls back every `ms` until cancelled. Never keeps the process alive. */
  interval(ms: number, callback: () => void): Timer;
  /**
   * Resolves once all is done that this turn of the event loop has brought, for all that wait for it in the order in which
   * they asked; no time passes.
   */
  turn(): Promise<void>;
  /** Resolves after `ms`; rejects with the signal's reason when that aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Turns of the event loop, which come of themselves for every clock. */
export function turns(): Clock["turn"] {
  let turn: Promise<void> | undefined;
  return () => {
    turn ??= new Promise((resolve) => {
      setImmediate(() => {
        turn = undefined;
        resolve();
      });
    });
    return turn;
  };
}

class SystemClock implements Clock {
  readonly turn = turns();

  now(): Date {
    return new Date();
  }

  monotonic(): number {
    return performance.now();
  }

  timer(ms: number, callback: () => void): Timer {
    const handle = setTimeout(callback, ms).unref();
    return { refresh: () => handle.refresh(), cancel: () => clearTimeout(handle) };
  }

  interval(ms: number, callback: () => void): Timer {
    const handle = setInterval(callback, ms).unref();
    return { refresh: () => handle.refresh(), cancel: () => clearInterval(handle) };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(handle);
        reject(signal?.reason);
      };
      const handle = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

export const Clock = token<Clock>("clock", () => new SystemClock());
