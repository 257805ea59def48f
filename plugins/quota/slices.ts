interface Slice {
  /** Not set aside. Below zero when a lease ran out under calls that still go on. */
  free: number;
  /** The slice as the ledger was last known to have it. */
  booked: number;
  /** Monotonic ms. */
  usedAt: number;
}

/** Most slices kept; the idle ones go first. */
const MOST = 50_000;

/**
 * What one instance holds on lease, by account. At every moment `free` is the slice in the ledger's books, less what has
 * been given up and is on its way there, less what calls have set aside.
 */
export class Slices {
  readonly #slices = new Map<string, Slice>();

  /** What can be set aside, never below zero. */
  free(account: string): number {
    return Math.max(0, this.#slices.get(account)?.free ?? 0);
  }

  take(account: string, amount: number, now: number): void {
    const slice = this.#slices.get(account);
    if (!slice || amount === 0) return;
    slice.free -= amount;
    slice.usedAt = now;
  }

  giveBack(account: string, amount: number): void {
    const slice = this.#slices.get(account);
    if (slice) slice.free += amount;
  }

  /** The ledger has the slice as `amount`, after it has booked `unheld` of what was given up. */
  learn(account: string, amount: number, unheld: number): void {
    const slice = this.#slices.get(account);
    if (!slice) return;
    slice.free += amount - slice.booked + unheld;
    slice.booked = amount;
  }

  /** As {@link learn}, of a slice that was asked for. */
  leased(account: string, amount: number, now: number): void {
    if (!this.#slices.has(account)) this.#slices.set(account, { free: 0, booked: 0, usedAt: now });
    this.learn(account, amount, 0);
    (this.#slices.get(account) as Slice).usedAt = now;
  }

  /** The ledger has released all slices. */
  lapsed(): void {
    for (const account of this.#slices.keys()) this.learn(account, 0, 0);
  }

  /** Takes out what has not been used since `before`, by account; of too many slices all that is free. */
  takeIdle(before: number): [account: string, amount: number][] {
    const idle: [string, number][] = [];
    for (const [account, slice] of this.#slices) {
      if (slice.usedAt > before && this.#slices.size <= MOST) continue;
      if (slice.free > 0) {
        idle.push([account, slice.free]);
        slice.free = 0;
      } else if (slice.free === 0 && slice.booked === 0) this.#slices.delete(account);
    }
    return idle;
  }

  /** Sum of what is free, over all accounts. */
  get sum(): number {
    let sum = 0;
    for (const { free } of this.#slices.values()) sum += free;
    return sum;
  }
}
