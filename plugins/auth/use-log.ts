import type { Clock, Logger } from "headgate";
import type { Directory } from "./directory.ts";
import type { Identity } from "./identity.ts";

/** How often the uses are written, in ms; `last_used_at` is exact to that. */
const WRITE_MS = 60_000;
const BATCH = 500;
/** Most uses noted between two writes. */
const KEPT = 50_000;

/** Writes down when keys were last used: together, once a minute, and off the way of any call. */
export class UseLog {
  readonly #directory: Directory;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #used: Identity[] = [];

  constructor(directory: Directory, clock: Clock, logger: Logger) {
    this.#directory = directory;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** `identity` is marked as touched, and comes again only after it was written. */
  add(identity: Identity): void {
    if (this.#used.length < KEPT) this.#used.push(identity);
    else identity.touched = false;
  }

  /** Returns how to stop. */
  start(): () => void {
    const timer = this.#clock.interval(WRITE_MS, () => void this.flush());
    return () => timer.cancel();
  }

  async flush(): Promise<void> {
    const used = this.#used;
    this.#used = [];
    for (const identity of used) identity.touched = false;
    const ids = [...new Set(used.flatMap(({ caller }) => caller.key ?? []))];
    try {
      for (let at = 0; at < ids.length; at += BATCH)
        await this.#directory.keys.touch(ids.slice(at, at + BATCH), this.#clock.now().getTime());
    } catch (error) {
      this.#logger.warn({ err: error, keys: ids.length }, "when keys were last used could not be written");
    }
  }
}
