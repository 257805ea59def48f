import { type Clock, GatewayError, within } from "headgate";
import { Recent } from "./recent.ts";

/** For this long, in ms, what the database said is trusted without asking again. */
const FRESH_MS = 5 * 60_000;
/** From this age on it is asked again in the background, so that nobody has to wait. */
const RENEW_MS = 4 * 60_000;
/** For this long after that, in ms, it is still trusted while the database does not answer. */
const STALE_MS = 15 * 60_000;
/** For this long it is remembered that something does not exist. */
const ABSENT_MS = 10_000;
/** Longest that a call waits for the database. */
const WAIT_MS = 250;
/** After the database did not answer, nobody waits for it again for this long. */
const AWAY_MS = 250;
/** Most entries kept, and as many of what does not exist. */
const KEPT = 10_000;
/** Most questions under way; more than that and the database is not keeping up. */
const UNDER_WAY = 200;

interface Entry<Value> {
  readonly value: Value;
  renewAt: number;
  freshUntil: number;
  readonly staleUntil: number;
}

/**
 * What a table says under a key, kept in memory: fresh for five minutes, renewed in the background before that ends, and
 * served for another fifteen while the database is away. One question under way per key; nobody waits for longer than 250 ms.
 */
export class LookUp<Value> {
  readonly #load: (key: string) => Promise<Value | undefined>;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #known = new Recent<Entry<Value>>(KEPT);
  readonly #absent = new Recent<number>(KEPT);
  /** Questions that a caller may share. */
  readonly #asked = new Map<string, Promise<Value | undefined>>();
  #underWay = 0;
  #awayUntil = Number.NEGATIVE_INFINITY;
  /** Counts what was said to have changed: an answer from before that is not kept. */
  #changes = 0;

  /** `onFailure` hears of every answer that did not come, or not in time. */
  constructor(clock: Clock, load: (key: string) => Promise<Value | undefined>, onFailure: (error: unknown) => void = ignore) {
    this.#clock = clock;
    this.#load = load;
    this.#onFailure = onFailure;
  }

  /** What is kept, of both kinds. */
  get size(): number {
    return this.#known.size + this.#absent.size;
  }

  /** Fresh from memory: the value, null when there is known to be none, undefined when the database has to be asked. */
  recall(key: string): Value | null | undefined {
    const now = this.#clock.monotonic();
    const entry = this.#known.get(key);
    if (!entry) return now < (this.#absent.get(key) ?? now) ? null : undefined;
    if (now < entry.renewAt) return entry.value;
    if (now >= entry.freshUntil) return undefined;
    entry.renewAt = now + AWAY_MS;
    this.#ask(key).catch(ignore);
    return entry.value;
  }

  /**
   * The value, or undefined when there is none. While the database is away: what was known of late, otherwise a
   * GatewayError `dependency_unavailable`.
   */
  async find(key: string): Promise<Value | undefined> {
    const recalled = this.recall(key);
    if (recalled !== undefined) return recalled ?? undefined;
    let cause: unknown;
    if (this.#clock.monotonic() >= this.#awayUntil) {
      try {
        return await within(this.#clock, WAIT_MS, this.#ask(key));
      } catch (error) {
        cause = error;
        this.#onFailure(error);
        this.#awayUntil = this.#clock.monotonic() + AWAY_MS;
      }
    }
    const entry = this.#known.get(key);
    if (entry && this.#clock.monotonic() < entry.staleUntil) return entry.value;
    throw new GatewayError("dependency_unavailable", {
      message: "Who you are cannot be looked up right now, because the gateway's database does not answer.",
      retryAfter: 1,
      cause,
    });
  }

  /** Keeps a value that was just read or written. */
  put(key: string, value: Value): void {
    const now = this.#clock.monotonic();
    this.#absent.delete(key);
    this.#known.set(key, { value, renewAt: now + RENEW_MS, freshUntil: now + FRESH_MS, staleUntil: now + FRESH_MS + STALE_MS });
  }

  /** Everything is looked up anew before it is trusted again. */
  distrust(): void {
    this.#changed();
    for (const [, entry] of this.#known.entries()) suspect(entry);
  }

  /** The values chosen are looked up anew, at once, and before they are trusted again. */
  renew(chosen: (value: Value) => boolean): void {
    this.#changed();
    for (const [key, entry] of [...this.#known.entries()]) {
      if (!chosen(entry.value)) continue;
      suspect(entry);
      this.#ask(key).catch(ignore);
    }
  }

  /** Replaces the values for which `change` gives another, for good: no answer under way brings the old one back. */
  revise(change: (value: Value) => Value | undefined): void {
    this.#changed();
    for (const [key, { value }] of [...this.#known.entries()]) {
      const next = change(value);
      if (next !== undefined) this.put(key, next);
    }
  }

  #changed(): void {
    this.#changes += 1;
    this.#absent.clear();
    this.#asked.clear();
  }

  #ask(key: string): Promise<Value | undefined> {
    const asked = this.#asked.get(key);
    if (asked) return asked;
    if (this.#underWay >= UNDER_WAY) return Promise.reject(new Error(`more than ${UNDER_WAY} look-ups are under way`));
    this.#underWay += 1;
    const changes = this.#changes;
    const answer = this.#load(key).then((value) => {
      if (changes === this.#changes) this.#learn(key, value);
      return value;
    });
    this.#asked.set(key, answer);
    const done = () => {
      this.#underWay -= 1;
      if (this.#asked.get(key) === answer) this.#asked.delete(key);
    };
    answer.then(done, done);
    return answer;
  }

  #learn(key: string, value: Value | undefined): void {
    this.#awayUntil = Number.NEGATIVE_INFINITY;
    if (value !== undefined) return this.put(key, value);
    this.#known.delete(key);
    this.#absent.set(key, this.#clock.monotonic() + ABSENT_MS);
  }
}

function suspect(entry: Entry<unknown>): void {
  entry.renewAt = 0;
  entry.freshUntil = 0;
}

function ignore(): void {}
