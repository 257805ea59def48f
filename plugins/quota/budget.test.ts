import fc from "fast-check";
import { expect, it } from "vitest";
import { type Account, type BookedSlice, Budget, type Charge, type Lease, type Reservation, type Want } from "./budget.ts";
import { sliceSize } from "./lease.ts";

const LIMIT = 1_000;
const TEAM = 1_500;
const INSTANCES = 3;

interface Row {
  limit: number;
  used: number;
  held: number;
}

/** The books in memory. */
class Books {
  readonly rows = new Map<string, Row>();
  readonly #slices = new Map<string, Map<string, number>>();

  row(id: string, limit: number): Row {
    const row = this.rows.get(id) ?? { limit, used: 0, held: 0 };
    this.rows.set(id, row);
    return row;
  }

  slicesOf(instance: string): Map<string, number> {
    const slices = this.#slices.get(instance) ?? new Map<string, number>();
    this.#slices.set(instance, slices);
    return slices;
  }

  lease(instance: string, wants: readonly Want<Account>[]): Lease[] {
    const slices = this.slicesOf(instance);
    const grant = (id: string, amount: number, row: Row) => {
      row.held += amount;
      slices.set(id, (slices.get(id) ?? 0) + amount);
    };
    for (const { account, least, all } of wants) {
      const [own, extra] = [this.row(account.id, account.limit), this.row(account.additional, 0)];
      const [rest, extraRest] = [own.limit - own.used - own.held, extra.limit - extra.used - extra.held];
      if (rest + extraRest < least) continue;
      const granted = sliceSize(rest, least, all);
      grant(account.id, granted, own);
      grant(account.additional, Math.min(Math.max(0, all - granted), extraRest), extra);
    }
    return wants.map(({ account }) => {
      const [own, extra] = [this.row(account.id, account.limit), this.row(account.additional, 0)];
      const balance = { ...own, additional: extra.limit - extra.used - extra.held };
      const [slice, additionalSlice] = [slices.get(account.id) ?? 0, slices.get(account.additional) ?? 0];
      return { account: account.id, slice, additional: account.additional, additionalSlice, balance };
    });
  }

  book(instance: string, charges: readonly Charge[]): BookedSlice[] {
    const slices = this.slicesOf(instance);
    return charges.map(({ account, used, unheld }) => {
      const row = this.row(account, 0);
      const taken = Math.min(unheld, slices.get(account) ?? 0);
      row.used += used;
      row.held -= taken;
      slices.set(account, (slices.get(account) ?? 0) - taken);
      return { account, unheld, slice: slices.get(account) ?? 0 };
    });
  }

  release(instance: string): void {
    for (const [id, amount] of this.slicesOf(instance)) (this.rows.get(id) as Row).held -= amount;
    this.slicesOf(instance).clear();
  }
}

type Settle = (budget: Budget<Account>, reservation: Reservation<Account>, used: number) => Charge[];
const honest: Settle = (budget, reservation, used) => budget.settle(reservation, () => used);

interface Instance {
  readonly name: string;
  budget: Budget<Account>;
  open: { readonly reservation: Reservation<Account>; readonly need: number }[];
  /** Given up, and on its way to the books. */
  due: Charge[];
}

class World {
  readonly #books = new Books();
  readonly #settle: Settle;
  readonly #instances: Instance[];
  #now = 0;
  /** Number of the window; a call is counted in the one in which it began. */
  #window = 0;
  #calls = 0;
  #expected = 0;

  constructor(settle: Settle) {
    this.#settle = settle;
    this.#instances = Array.from({ length: INSTANCES }, (_, n) => ({
      name: `ins_${n}`,
      budget: this.#budget(`ins_${n}`),
      open: [],
      due: [],
    }));
  }

  #budget(name: string): Budget<Account> {
    const budget = new Budget<Account>({ lease: async (wants) => this.#books.lease(name, wants) }, () => this.#now);
    budget.prolonged(Number.POSITIVE_INFINITY);
    return budget;
  }

  async step({ kind, who, subject, amount }: Step): Promise<void> {
    const instance = this.#instances[who] as Instance;
    if (kind === "call") await this.#call(instance, subject, amount);
    else if (kind === "settle") this.#end(instance, subject % Math.max(1, instance.open.length), amount);
    else if (kind === "deliver") this.#deliver(instance);
    else if (kind === "wait") {
      this.#now += amount * 20;
      for (const each of this.#instances) each.due.push(...each.budget.takeIdle(1_500));
    } else if (kind === "crash") this.#crash(instance);
    else if (kind === "buy") this.#books.row(`user:${subject}:additional`, 0).limit += amount;
    else this.#window += 1;
  }

  async #call(instance: Instance, subject: number, amount: number): Promise<void> {
    const account = (of: string, limit: number) => ({ id: `${of}:${this.#window}`, additional: `${of}:additional`, limit });
    const needs = [account(`user:${subject}`, LIMIT), account("team:red", TEAM)].map((each) => ({ account: each, amount }));
    const id = `req_${this.#calls++}`;
    const had = instance.budget.tryReserve(id, needs);
    const verdict = had ? { kind: "reserved" as const, reservation: had } : await instance.budget.reserve(id, needs).verdict;
    if (verdict.kind === "reserved") instance.open.push({ reservation: verdict.reservation, need: amount });
    else expect(verdict.kind).toBe("refused");
  }

  #end({ budget, open, due }: Instance, at: number, amount: number): void {
    const [call] = open.splice(at, 1);
    if (!call) return;
    const used = Math.min(call.need, amount);
    this.#expected += used;
    due.push(...this.#settle(budget, call.reservation, used));
  }

  #deliver({ name, budget, due }: Instance): void {
    for (const slice of this.#books.book(name, due.splice(0))) budget.booked(slice);
  }

  /** What it wrote down is booked; its calls count whole; its slices are released. */
  #crash(instance: Instance): void {
    for (const { reservation, need } of instance.open.splice(0)) {
      this.#expected += need;
      for (const { account, own, extra } of reservation.parts) {
        instance.due.push({ account: account.id, used: own, unheld: own });
        if (extra > 0) instance.due.push({ account: account.additional, used: extra, unheld: extra });
      }
    }
    this.#books.book(instance.name, instance.due.splice(0));
    this.#books.release(instance.name);
    instance.budget = this.#budget(instance.name);
  }

  /** At every instant: used, held and, within what is held, what is set aside for calls. */
  check(): void {
    for (const [id, { limit, used, held }] of this.#books.rows) {
      if (used + held > limit || held < 0) throw new Error(`${id}: ${used} used and ${held} held of ${limit}`);
    }
    for (const { name, open, due } of this.#instances) {
      const slices = new Map(this.#books.slicesOf(name));
      for (const { account, unheld } of due) slices.set(account, (slices.get(account) ?? 0) - unheld);
      for (const { reservation } of open) {
        for (const { account, own, extra } of reservation.parts) {
          slices.set(account.id, (slices.get(account.id) ?? 0) - own);
          slices.set(account.additional, (slices.get(account.additional) ?? 0) - extra);
        }
      }
      for (const [account, left] of slices) if (left < 0) throw new Error(`${name} gave out ${-left} of ${account} that it does not hold`);
    }
  }

  rest(): void {
    for (const instance of this.#instances) {
      while (instance.open.length > 0) this.#end(instance, 0, LIMIT);
      this.#deliver(instance);
      instance.due.push(...instance.budget.takeIdle(0));
      this.#deliver(instance);
    }
    this.check();
    const sum = (of: string, what: "used" | "held") =>
      [...this.#books.rows].reduce((total, [id, row]) => total + (id.startsWith(of) ? row[what] : 0), 0);
    expect([sum("", "held"), sum("user", "used"), sum("team", "used")]).toEqual([0, this.#expected, this.#expected]);
  }
}

const step = fc.record({
  kind: fc.constantFrom(
    ...(["call", "call", "call", "call", "settle", "settle", "settle", "deliver", "wait", "crash", "buy", "reset"] as const),
  ),
  who: fc.nat(INSTANCES - 1),
  subject: fc.nat(2),
  amount: fc.integer({ min: 1, max: 120 }),
});
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** Any history of calls, ends, deliveries, crashes, purchases and new windows on three instances. */
const holds = (settle: Settle) =>
  fc.asyncProperty(fc.array(step, { minLength: 200, maxLength: 200, size: "max" }), async (steps) => {
    const world = new World(settle);
    for (const one of steps) {
      await world.step(one);
      world.check();
    }
    world.rest();
  });

it("a budget is never overrun at any instant, and nothing of it leaks: 100,000 steps", async () => {
  await fc.assert(holds(honest), { numRuns: 500 });
}, 60_000);

it.each<[string, Settle]>([
  ["does not return what was set aside", () => []],
  [
    "returns it twice",
    (budget, reservation, used) => {
      budget.settle(reservation, () => used);
      return honest(budget, reservation, used);
    },
  ],
  ["charges it twice", (budget, reservation, used) => honest(budget, reservation, used).flatMap((charge) => [charge, charge])],
])(
  "a settlement that %s is found",
  async (_, doctored) => {
    expect((await fc.check(holds(doctored), { numRuns: 20, endOnFailure: true })).failed).toBe(true);
  },
  30_000,
);
