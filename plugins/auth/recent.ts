/**
 * A bounded map that forgets what has not been read for longest, roughly: entries live in two halves, a read brings an
 * entry into the young one, and when that is full it becomes the old one, whose entries are dropped. A read of a young
 * entry costs one look-up and no write.
 */
export class Recent<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();
  readonly #half: number;

  /** At most `size` entries. */
  constructor(size: number) {
    this.#half = Math.max(1, Math.floor(size / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Value): void {
    this.#old.delete(key);
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }

  *entries(): Iterable<[string, Value]> {
    yield* this.#young;
    yield* this.#old;
  }
}
