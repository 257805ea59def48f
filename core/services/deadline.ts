import type { Clock } from "./clock.ts";

/** The outcome of `work`, or a rejection after `ms` milliseconds. What `work` does after that is ignored, also when it fails. */
export function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.timer(ms, () => reject(new Error(`no answer within ${ms} ms`)));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
