import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../random.ts";
import { mayRetry } from "./errors.ts";

const TRIES = 5;
/** Longest pause before the first further try, in ms; doubled for each after it. */
const PAUSE_MS = 20;

/** Tries `work` again, after a pause drawn by chance, as long as the database says that this may help. */
export async function withRetries<Result>(random: Random, work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES || !mayRetry(error)) throw error;
      await sleep(random.next() * PAUSE_MS * 2 ** (tries - 1));
    }
  }
}
