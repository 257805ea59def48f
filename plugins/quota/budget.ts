/**
 * The budgets of one instance, in memory. It holds a slice of each account on lease from the ledger, which all instances
 * share, and gives out of that without asking anyone; when a slice does not suffice, those who wait for the same account
 * ask together, once. What is in use and what is held never exceed a limit, because the ledger leases no more than that.
 */
import { Slices } from "./slices.ts";

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
  /** Least that helps anyone who waits, beyond what is free here. */
  readonly least: number;
  /** What all who wait need together, beyond what is free here. */
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
interface Part<A extends Account = Account> {
  readonly account: A;
  /** Set aside in the account itself. */
  readonly own: number;
  /** Set aside of what was bought on top. */
  readonly extra: number;
}

export interface Reservation<A extends Account = Account> {
  readonly id: string;
  readonly parts: readonly Part<A>[];
  /** Its place among those under way; -1 when it is none. */
  place: number;
}

/** What a settled call took from the books of one account. */
export interface Charge {
  readonly account: string;
  readonly used: number;
  /** Of the slice, given up with that; the rest stays with the instance. */
  readonly unheld: number;
}

/** A slice after some of what was given up has been booked. */
export interface BookedSlice {
  readonly account: string;
  readonly unheld: number;
  readonly slice: number;
}

export type Verdict<A extends Account> =
  | { readonly kind: "reserved"; readonly reservation: Reservation<A> }
  | { readonly kind: "refused"; readonly account: A; readonly need: number; readonly balance: Balance }
  | { readonly kind: "unavailable"; readonly cause: unknown };

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

export class Budget<A extends Account> {
  readonly #lessor: Lessor<A>;
  readonly #now: () => number;
  readonly #slices = new Slices();
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
    const now = this.#now();
    if (now >= this.#until && needs.length > 0) return undefined;
    // What was bought on top serves several limits of one call at once, so it is set aside once: for the one that lacks most.
    let shortfalls: Map<string, number> | undefined;
    for (const { account, amount } of needs) {
      const short = amount - this.#slices.free(account.id);
      if (short <= 0) continue;
      if (this.#slices.free(account.additional) < short) return undefined;
      shortfalls ??= new Map();
      shortfalls.set(account.additional, Math.max(short, shortfalls.get(account.additional) ?? 0));
    }
    const parts: Part<A>[] = [];
    for (const { account, amount } of needs) {
      const own = Math.min(amount, this.#slices.free(account.id));
      const extra = shortfalls?.get(account.additional) ?? 0;
      // One part carries what is set aside on top, for all of its kind.
      shortfalls?.delete(account.additional);
      this.#slices.take(account.id, own, now);
      this.#slices.take(account.additional, extra, now);
      parts.push({ account, own, extra });
    }
    return { id, parts, place: -1 };
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
    // Nearly always none.
    let extras: Map<string, { reserved: number; used: number }> | undefined;
    for (const { account, extra } of parts) {
      if (extra === 0) continue;
      extras ??= new Map();
      extras.set(account.additional, { reserved: extra, used: 0 });
    }
    for (const { account, own } of parts) {
      const amount = used(account);
      const unheld = Math.min(amount, own);
      const extra = extras?.get(account.additional);
      const fromExtra = Math.min(amount - unheld, extra?.reserved ?? 0);
      if (extra) extra.used = Math.max(extra.used, fromExtra);
      this.#slices.giveBack(account.id, own - unheld);
      // More than was set aside is charged to the account all the same: it was used.
      if (amount > fromExtra || unheld > 0) charges.push({ account: account.id, used: amount - fromExtra, unheld });
    }
    for (const [account, { reserved, used: unheld }] of extras ?? []) {
      this.#slices.giveBack(account, reserved - unheld);
      if (unheld > 0) charges.push({ account, used: unheld, unheld });
    }
    return charges;
  }

  /** The ledger has booked what was given up, `unheld` of it, and has the slice as `slice` now. */
  booked({ account, unheld, slice }: BookedSlice): void {
    this.#slices.learn(account, slice, unheld);
  }

  /** The ledger has these slices, which may have been leased without its answer having come. */
  recalled(slices: readonly Omit<BookedSlice, "unheld">[]): void {
    for (const { account, slice } of slices) this.#slices.leased(account, slice, this.#now());
  }

  /** The lease had run out, and the ledger has released all slices. */
  lapsed(): void {
    this.#slices.lapsed();
  }

  /** Takes back what has lain idle for `ms`, to be returned to the ledger. */
  takeIdle(ms: number): Charge[] {
    for (const [account, { until }] of this.#refusals) if (until <= this.#now()) this.#refusals.delete(account);
    return this.#slices.takeIdle(this.#now() - ms).map(([account, unheld]) => ({ account, used: 0, unheld }));
  }

  /** Forgets what is known of refusals: limits have changed, or something was bought. */
  forgetRefusals(): void {
    this.#refusals.clear();
  }

  /** Sum over all slices of what is not set aside. */
  get free(): number {
    return this.#slices.sum;
  }

  #refusedLately(needs: readonly Need<A>[]): Verdict<A> | undefined {
    for (const { account, amount } of needs) {
      const refusal = this.#refusals.get(account.id);
      if (!refusal || refusal.until <= this.#now()) continue;
      if (amount > refusal.rest + this.#slices.free(account.id) + this.#slices.free(account.additional)) {
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
        const leases = await this.#lessor.lease(this.#wantsOf(asked));
        const now = this.#now();
        for (const lease of leases) this.#learn(lease, now);
        const balances = new Map(leases.map((lease) => [lease.account, lease.balance]));
        for (const waiter of asked) waiter.rounds += 1;
        // The word is good for those too who have come meanwhile, so that nobody waits for two rounds to be refused.
        const come = this.#waiting.splice(0);
        for (const waiter of [...asked, ...come]) this.#answer(waiter, balances);
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
    for (const { account, amount } of waiter.needs) {
      const books = balances.get(account.id);
      if (!books) continue;
      const rest = Math.max(0, books.limit - books.used - books.held) + books.additional;
      const free = this.#slices.free(account.id) + this.#slices.free(account.additional);
      if (free >= amount || (rest + free >= amount && waiter.rounds < ROUNDS)) continue;
      // What lies ready here is set aside for no call.
      const balance = { ...books, held: Math.max(0, books.held - this.#slices.free(account.id)) };
      this.#refusals.set(account.id, { rest, balance, until: this.#now() + REFUSAL_FRESH });
      return waiter.resolve({ kind: "refused", account, need: amount, balance });
    }
    if (waiter.rounds < ROUNDS) this.#waiting.push(waiter);
    else waiter.resolve({ kind: "unavailable", cause: new Error("others took it each time") });
  }

  #learn({ account, slice, additional, additionalSlice }: Lease, now: number): void {
    this.#slices.leased(account, slice, now);
    if (additionalSlice > 0) this.#slices.leased(additional, additionalSlice, now);
    else this.#slices.learn(additional, 0, 0);
  }

  #wantsOf(waiters: readonly Waiter<A>[]): Want<A>[] {
    const wants = new Map<string, { account: A; least: number; all: number }>();
    for (const { needs } of waiters) {
      for (const { account, amount } of needs) {
        const want = wants.get(account.id) ?? { account, least: amount, all: -this.#slices.free(account.id) };
        wants.set(account.id, { account, least: Math.min(want.least, amount), all: want.all + amount });
      }
    }
    const lacking = [...wants.values()].map(({ account, least, all }) => ({
      account,
      least: Math.max(0, least - this.#slices.free(account.id) - this.#slices.free(account.additional)),
      all: Math.max(0, all),
    }));
    // In one order everywhere, so that two instances do not wait for each other.
    return lacking.sort((a, b) => (a.account.id < b.account.id ? -1 : 1));
  }
}
