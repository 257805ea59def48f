/**
 * The budgets of one instance, in memory. It holds a slice of each account on lease from the ledger, which all instances
 * share, and gives out of that without asking anyone; when a slice does not suffice, those who wait for the same account
 * ask together, once. What is in use and what is held never exceed a limit, because the ledger leases no more than that.
 */

/** What the engine needs to know of an account. */
export interface Account {
  readonly id: string;
  /** Account of what was bought on top, drawn on when this one is used up. */
  readonly additional: string;
  readonly limit: number;
}

export interface Need<A extends Account = Account> {
  readonly account: A;
  readonly amount: number;
}

/** An account as the ledger has it. */
export interface Balance {
  readonly used: number;
  readonly held: number;
  readonly limit: number;
  /** Bought on top and not used up. */
  readonly additional: number;
}

/** What was asked of the ledger for one account. */
export interface Want<A extends Account> {
  readonly account: A;
  /** Least that helps anyone who waits. */
  readonly least: number;
  /** What all who wait need together. */
  readonly all: number;
}

/** The ledger's answer: slices as they are now in its books, this instance's. */
export interface Lease {
  readonly account: string;
  /** Amount of this instance's slice. */
  readonly slice: number;
  readonly additional: string;
  readonly additionalSlice: number;
  readonly balance: Balance;
}

export interface Lessor<A extends Account> {
  /** Enlarges slices where the limits allow it. Rejects when the ledger cannot be asked. */
  lease(wants: readonly Want<A>[]): Promise<readonly Lease[]>;
}

/** One account's part of a reservation. */
export interface Part<A extends Account = Account> {
  readonly account: A;
  /** Set aside in the account itself. */
  readonly own: number;
  /** Set aside of what was bought on top. */
  readonly extra: number;
}

export interface Reservation<A extends Account = Account> {
  readonly id: string;
  readonly parts: readonly Part<A>[];
}

/** What a settled call took from the books of one account. */
export interface Charge {
  readonly account: string;
  readonly used: number;
  /** Of the slice, given up with that; the rest stays with the instance. */
  readonly unheld: number;
}

export type Verdict<A extends Account> =
  | { readonly kind: "reserved"; readonly reservation: Reservation<A> }
  | { readonly kind: "refused"; readonly account: A; readonly need: number; readonly balance: Balance }
  | { readonly kind: "unavailable"; readonly cause: unknown };

interface Slice {
  /** Not set aside. */
  free: number;
  /** The whole slice as the ledger last had it, less what was given up since and is known to be booked. */
  booked: number;
  /** Monotonic ms. */
  usedAt: number;
}

interface Refusal {
  readonly rest: number;
  readonly balance: Balance;
  readonly until: number;
}

interface Waiter<A extends Account> {
  readonly id: string;
  readonly needs: readonly Need<A>[];
  readonly resolve: (verdict: Verdict<A>) => void;
  rounds: number;
  over: boolean;
  reservation: Reservation<A> | undefined;
}

/** A call that waits for the ledger's word. */
export interface Waiting<A extends Account> {
  readonly verdict: Promise<Verdict<A>>;
  /** Nobody waits any longer; what has been set aside in the meantime is free again. */
  giveUp(): void;
}

/** How long, in ms, the ledger's word that an account is used up is taken as still true. */
const REFUSAL_FRESH = 1_000;
/** Rounds at the ledger after which one who waits is told that it cannot be had. */
const ROUNDS = 4;
/** Most slices kept; the idle ones go first. */
const MOST = 50_000;

export class Budget<A extends Account> {
  readonly #lessor: Lessor<A>;
  readonly #now: () => number;
  readonly #slices = new Map<string, Slice>();
  readonly #refusals = new Map<string, Refusal>();
  #waiting: Waiter<A>[] = [];
  #asking = false;
  /** The lease on all slices ends at this moment, in monotonic ms. */
  #until = 0;

  constructor(lessor: Lessor<A>, now: () => number) {
    this.#lessor = lessor;
    this.#now = now;
  }

  /** Says that the ledger has prolonged the lease on everything held. */
  prolonged(until: number): void {
    this.#until = Math.max(this.#until, until);
  }

  /** Sets aside what all accounts need, or nothing; undefined when a slice does not suffice. */
  tryReserve(id: string, needs: readonly Need<A>[]): Reservation<A> | undefined {
    if (this.#now() >= this.#until && needs.length > 0) return undefined;
    // What was bought on top serves several limits of one call at once, so it is set aside once: for the one that lacks most.
    let shortfalls: Map<string, number> | undefined;
    for (const { account, amount } of needs) {
      const short = amount - (this.#slices.get(account.id)?.free ?? 0);
      if (short <= 0) continue;
      if ((this.#slices.get(account.additional)?.free ?? 0) < short) return undefined;
      shortfalls ??= new Map();
      shortfalls.set(account.additional, Math.max(short, shortfalls.get(account.additional) ?? 0));
    }
    const parts: Part<A>[] = [];
    for (const { account, amount } of needs) {
      const own = Math.min(amount, this.#slices.get(account.id)?.free ?? 0);
      const extra = shortfalls?.get(account.additional) ?? 0;
      // One part carries what is set aside on top; the others of the same kind refer to the same.
      shortfalls?.delete(account.additional);
      this.#take(account.id, own);
      if (extra > 0) this.#take(account.additional, extra);
      parts.push({ account, own, extra });
    }
    return { id, parts };
  }

  /** As {@link tryReserve}, but asks the ledger for what is lacking. */
  reserve(id: string, needs: readonly Need<A>[]): Waiting<A> {
    const refused = this.#refusedLately(needs);
    if (refused) return { verdict: Promise.resolve(refused), giveUp: () => undefined };
    const { promise, resolve } = Promise.withResolvers<Verdict<A>>();
    const waiter: Waiter<A> = { id, needs, resolve, rounds: 0, over: false, reservation: undefined };
    this.#waiting.push(waiter);
    void this.#ask();
    return {
      verdict: promise,
      giveUp: () => {
        waiter.over = true;
        if (waiter.reservation) this.settle(waiter.reservation, () => 0);
        waiter.reservation = undefined;
      },
    };
  }

  /** Ends a reservation with what was used, by account. Returns what to write into the books. */
  settle({ parts }: Reservation<A>, used: (account: A) => number): Charge[] {
    const charges: Charge[] = [];
    let extraUsed = 0;
    let extraPart: Part<A> | undefined;
    for (const part of parts) {
      const amount = used(part.account);
      if (part.extra > 0) extraPart = part;
      const over = amount - part.own;
      extraUsed = Math.max(extraUsed, over);
      const unheld = Math.min(amount, part.own);
      this.#giveBack(part.account.id, part.own - unheld);
      // More than was set aside is charged to the account all the same: it was used.
      const beyond = Math.max(0, over - this.#extraOf(parts, part.account.additional));
      charges.push({ account: part.account.id, used: unheld + beyond, unheld });
    }
    if (extraPart) {
      const unheld = Math.min(Math.max(0, extraUsed), extraPart.extra);
      this.#giveBack(extraPart.account.additional, extraPart.extra - unheld);
      if (unheld > 0) charges.push({ account: extraPart.account.additional, used: unheld, unheld });
    }
    return charges.filter(({ used: amount, unheld }) => amount > 0 || unheld > 0);
  }

  /** The ledger has booked charges or returns, so that the slices are smaller there by what was given up. */
  booked(account: string, unheld: number): void {
    const slice = this.#slices.get(account);
    if (slice) slice.booked -= unheld;
  }

  /** Takes back what has lain idle for `ms`, to be returned to the ledger. */
  takeIdle(ms: number): Charge[] {
    const returns: Charge[] = [];
    const before = this.#now() - ms;
    for (const [account, slice] of this.#slices) {
      if (slice.usedAt > before && this.#slices.size <= MOST) continue;
      if (slice.free > 0) {
        returns.push({ account, used: 0, unheld: slice.free });
        slice.free = 0;
      } else if (slice.booked === 0) this.#slices.delete(account);
    }
    for (const [account, { until }] of this.#refusals) if (until <= this.#now()) this.#refusals.delete(account);
    return returns;
  }

  /** Forgets what is known of refusals: limits have changed, or something was bought. */
  forgetRefusals(): void {
    this.#refusals.clear();
  }

  /** Sum over all slices, for tests and health. */
  get free(): number {
    let sum = 0;
    for (const { free } of this.#slices.values()) sum += free;
    return sum;
  }

  #extraOf(parts: readonly Part<A>[], additional: string): number {
    let sum = 0;
    for (const part of parts) if (part.account.additional === additional) sum += part.extra;
    return sum;
  }

  #take(account: string, amount: number): void {
    const slice = this.#slices.get(account);
    if (!slice) return;
    slice.free -= amount;
    slice.usedAt = this.#now();
  }

  #giveBack(account: string, amount: number): void {
    if (amount <= 0) return;
    const slice = this.#slices.get(account);
    if (slice) slice.free += amount;
  }

  #refusedLately(needs: readonly Need<A>[]): Verdict<A> | undefined {
    for (const { account, amount } of needs) {
      const refusal = this.#refusals.get(account.id);
      if (!refusal || refusal.until <= this.#now()) continue;
      if (amount > refusal.rest + (this.#slices.get(account.id)?.free ?? 0) + (this.#slices.get(account.additional)?.free ?? 0)) {
        return { kind: "refused", account, need: amount, balance: refusal.balance };
      }
    }
    return undefined;
  }

  /** Goes to the ledger for all who wait, until nobody does. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    // Those who come in the same turn go together.
    await undefined;
    while (this.#waiting.length > 0) {
      const asked = this.#waiting.filter(({ over }) => !over);
      this.#waiting = [];
      try {
        const leases = await this.#lessor.lease(wantsOf(asked));
        const now = this.#now();
        for (const lease of leases) this.#learn(lease, now);
        const balances = new Map(leases.map((lease) => [lease.account, lease.balance]));
        for (const waiter of asked) this.#answer(waiter, balances);
      } catch (cause) {
        for (const waiter of asked) if (!waiter.over) waiter.resolve({ kind: "unavailable", cause });
      }
    }
    this.#asking = false;
  }

  #answer(waiter: Waiter<A>, balances: ReadonlyMap<string, Balance>): void {
    if (waiter.over) return;
    const reservation = this.tryReserve(waiter.id, waiter.needs);
    if (reservation) {
      waiter.reservation = reservation;
      return waiter.resolve({ kind: "reserved", reservation });
    }
    waiter.rounds += 1;
    for (const { account, amount } of waiter.needs) {
      const balance = balances.get(account.id);
      if (!balance) continue;
      const rest = Math.max(0, balance.limit - balance.used - balance.held) + balance.additional;
      const free = (this.#slices.get(account.id)?.free ?? 0) + (this.#slices.get(account.additional)?.free ?? 0);
      if (free >= amount || (rest + free >= amount && waiter.rounds < ROUNDS)) continue;
      this.#refusals.set(account.id, { rest, balance, until: this.#now() + REFUSAL_FRESH });
      return waiter.resolve({ kind: "refused", account, need: amount, balance });
    }
    if (waiter.rounds < ROUNDS) this.#waiting.push(waiter);
    else waiter.resolve({ kind: "unavailable", cause: new Error("others took it each time") });
  }

  #learn({ account, slice, additional, additionalSlice }: Lease, now: number): void {
    this.#resize(account, slice, now);
    if (additionalSlice > 0 || this.#slices.has(additional)) this.#resize(additional, additionalSlice, now);
  }

  /** The slice is what the ledger says: what came is free, and what went (a lease that ran out) is free no more. */
  #resize(account: string, amount: number, now: number): void {
    const slice = this.#slices.get(account) ?? { free: 0, booked: 0, usedAt: now };
    slice.free = Math.max(0, slice.free + amount - slice.booked);
    slice.booked = amount;
    slice.usedAt = now;
    this.#slices.set(account, slice);
  }
}

function wantsOf<A extends Account>(waiters: readonly Waiter<A>[]): Want<A>[] {
  const wants = new Map<string, { account: A; least: number; all: number }>();
  for (const { needs } of waiters) {
    for (const { account, amount } of needs) {
      const want = wants.get(account.id);
      if (!want) wants.set(account.id, { account, least: amount, all: amount });
      else {
        want.least = Math.min(want.least, amount);
        want.all += amount;
      }
    }
  }
  // In one order everywhere, so that two instances do not wait for each other.
  return [...wants.values()].sort((a, b) => (a.account.id < b.account.id ? -1 : 1));
}
