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
/** Most entries kept, and as many of what does not exist and of what is over. */
const KEPT = 10_000;
/** Most questions under way; more than that and the database is not keeping up. */
const UNDER_WAY = 200;

interface Entry<Value> {
  readonly value: Value;
  renewAt: number;
  freshUntil: number;
  readonly staleUntil: number;
}

export interface LookUpOptions<Value> {
  /** Hears of every answer that did not come, or not in time. */
  readonly onFailure?: (error: unknown) => void;
  /** Whether an answer (undefined where there is nothing) means that there will never be anything of use under its key. */
  readonly isOver?: (value: Value | undefined) => boolean;
}

/**
 * What a table says under a key, kept in memory: fresh for five minutes, renewed in the background before that ends, and
 * served for another fifteen while the database is away; that it is over, for as long as there is room. One question under
 * way per key; nobody waits for longer than 250 ms.
 */
export class LookUp<Value> {
  readonly #load: (key: string) => Promise<Value | undefined>;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #isOver: (value: Value | undefined) => boolean;
  readonly #known = new Recent<Entry<Value>>(KEPT);
  readonly #absent = new Recent<number>(KEPT);
  /** Keys of which it is known that there is nothing of use, and never will be. */
  readonly #over = new Recent<true>(KEPT);
  /** Questions that a caller may share. */
  readonly #asked = new Map<string, Promise<Value | undefined>>();
  #underWay = 0;
  #awayUntil = Number.NEGATIVE_INFINITY;
  /** Counts what was said to have changed: an answer from before that is not kept. */
  #changes = 0;
  /** Counts how often anything may have changed: an answer from before that is kept, but not trusted. */
  #doubts = 0;

  constructor(
    clock: Clock,
    load: (key: string) => Promise<Value | undefined>,
    { onFailure = ignore, isOver = () => false }: LookUpOptions<Value> = {},
  ) {
    this.#clock = clock;
    this.#load = load;
    this.#onFailure = onFailure;
    this.#isOver = isOver;
  }

  /** What is kept, of all kinds. */
  get size(): number {
    return this.#known.size + this.#absent.size + this.#over.size;
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
   * The value, or undefined when there is none. While the database is away: what was known of late, undefined for what is
   * over, otherwise a GatewayError `dependency_unavailable`.
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
    if (this.#over.get(key)) return undefined;
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
    this.#doubts += 1;
    this.#forget();
    for (const [, entry] of this.#known.entries()) suspect(entry);
  }

  /** The values chosen are looked up anew, at once, and before they are trusted again. */
  renew(chosen: (value: Value) => boolean): void {
    this.#changes += 1;
    this.#forget();
    for (const [key, entry] of [...this.#known.entries()]) {
      if (!chosen(entry.value)) continue;
      suspect(entry);
      this.#ask(key).catch(ignore);
    }
  }

  /** What was under a key is over, for good: no answer under way brings it back. */
  bury(key: string): void {
    this.#changes += 1;
    this.#forget();
    this.#known.delete(key);
    this.#over.set(key, true);
  }

  #forget(): void {
    this.#absent.clear();
    this.#asked.clear();
  }

  #ask(key: string): Promise<Value | undefined> {
    const asked = this.#asked.get(key);
    if (asked) return asked;
    if (this.#underWay >= UNDER_WAY) return Promise.reject(new Error(`more than ${UNDER_WAY} look-ups are under way`));
    this.#underWay += 1;
    const [changes, doubts] = [this.#changes, this.#doubts];
    const answer = this.#load(key).then((value) => {
      if (this.#isOver(value)) this.#over.set(key, true);
      if (changes === this.#changes) this.#learn(key, value, doubts === this.#doubts);
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

  #learn(key: string, value: Value | undefined, trusted: boolean): void {
    this.#awayUntil = Number.NEGATIVE_INFINITY;
    if (!trusted) {
      // Whoever has asked since knows better.
      if (value === undefined || this.#known.get(key)) return;
      this.put(key, value);
      return suspect(this.#known.get(key) as Entry<Value>);
    }
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
