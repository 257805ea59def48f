/** An answer in canonical form, as JSON text. */
export interface Answer {
  readonly kind: "json" | "stream";
  /** The body, or the list of chunks. */
  readonly json: string;
}

/** A request under a key: on its way, or answered. */
export type Entry =
  | { readonly state: "pending"; readonly digest: string; readonly streamed: boolean; readonly done: Promise<Answer | undefined> }
  | { readonly state: "answered"; readonly digest: string; readonly answer: Answer; readonly until: number };

export interface Bounds {
  readonly keepMs: number;
  readonly entries: number;
  readonly bytes: number;
}

/** Answers by key, bounded in number and size. What is under way does not count, for the number of calls is bounded elsewhere. */
export class Answers {
  readonly #bounds: Bounds;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  #answered = 0;
  #bytes = 0;

  /** `now` in monotonic ms. */
  constructor(bounds: Bounds, now: () => number) {
    this.#bounds = bounds;
    this.#now = now;
  }

  /** Most characters of an answer that is kept. */
  get largest(): number {
    return this.#bounds.bytes / 16;
  }

  find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry?.state !== "answered" || entry.until > this.#now()) return entry;
    this.#remove(key);
    return undefined;
  }

  /** Marks a request as under way; `finish` ends that, with its answer or, when there is none worth keeping, without. */
  begin(key: string, digest: string, streamed: boolean): { finish(answer?: Answer): void } {
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const pending: Entry = { state: "pending", digest, streamed, done: promise };
    this.#entries.set(key, pending);
    return {
      finish: (answer) => {
        if (this.#entries.get(key) !== pending) return;
        this.#entries.delete(key);
        if (answer) this.keep(key, digest, answer);
        resolve(answer);
      },
    };
  }

  keep(key: string, digest: string, answer: Answer): void {
    const { keepMs, entries, bytes } = this.#bounds;
    if (answer.json.length > this.largest) return;
    this.#entries.set(key, { state: "answered", digest, answer, until: this.#now() + keepMs });
    this.#answered += 1;
    this.#bytes += answer.json.length;
    for (const [oldest, entry] of this.#entries) {
      if (this.#answered <= entries && this.#bytes <= bytes) return;
      if (entry.state === "answered") this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry?.state !== "answered") return;
    this.#entries.delete(key);
    this.#answered -= 1;
    this.#bytes -= entry.answer.json.length;
  }
}
