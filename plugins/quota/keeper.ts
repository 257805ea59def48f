import { Bag, type Clock, type Database, type Logger, type Spool, type Spools, type Timer } from "headgate";
import type { AccountSpec } from "./accounts.ts";
import { additionalId } from "./accounts.ts";
import type { Booked, LedgerAccount } from "./books.ts";
import { Budget, type Charge, type Need, type Reservation, type Waiting } from "./budget.ts";
import { LEASE_MS, Ledger } from "./ledger.ts";
import { type BookRecord, wholeOf, writeRecord } from "./records.ts";

export interface KeeperOptions {
  readonly db: Database;
  readonly spools: Spools;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told what the books say of accounts that changed. */
  readonly onBooked: (accounts: readonly Booked[]) => void;
  /** Told of windows that have begun after one that was used. */
  readonly onBegun: (accounts: readonly Booked[]) => void;
}

/** In ms: how often idle slices are looked for, how long they lie, how often leases are prolonged, and how early one counts as over. */
const SWEEP_MS = 1_000;
const IDLE_MS = 1_500;
const PROLONG_MS = 10_000;
/** While the database has been silent for longer than this, in ms, idle slices are kept: nobody would get them again before it is back. */
const SILENT_MS = 3_000;
const SAFETY_MS = 10_000;
/** For the books of an earlier process to be closed at start. */
const BOOT_MS = 15_000;
const TOPIC = "quota.limits";

/**
 * Keeps one instance's budgets and writes down, in order, what becomes of them. After a reload the old chain ends its calls
 * while the new one begins others: both draw on the same budgets, which are closed when nobody uses them any more.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #open = new Bag<Reservation<LedgerAccount>>();
  #budget: Budget<LedgerAccount> | undefined;
  #ledger: Ledger | undefined;
  #spool: Spool | undefined;
  #seq = 0;
  #prolongedAt = 0;
  #tendedAt = 0;
  #until = 0;
  #timers: Timer[] = [];
  #unsubscribe: () => void = () => undefined;
  #working = false;
  #users = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#users === 0) await this.#begin();
    this.#users += 1;
  }

  /** Closes the books of this instance's earlier process, then opens its own. */
  async #begin(): Promise<void> {
    const { db, spools, clock } = this.#options;
    const { instance } = spools;
    const ledger = new Ledger({
      db,
      instance,
      now: () => clock.now().getTime(),
      monotonic: () => clock.monotonic(),
      onBooked: (slices, accounts) => {
        for (const slice of slices) this.#budget?.booked(slice);
        this.#options.onBooked(accounts);
      },
      onBegun: (accounts) => this.#options.onBegun(accounts),
      onProlonged: (from, lapsed) => {
        if (lapsed) this.#budget?.lapsed();
        this.#prolongedAt = from;
        this.#until = from + LEASE_MS - SAFETY_MS;
        this.#budget?.prolonged(this.#until);
      },
    });
    this.#ledger = ledger;
    await ledger.begin();
    this.#budget = new Budget(ledger, () => clock.monotonic());
    this.#budget.prolonged(this.#until);
    const spool = await spools.open({
      name: "quota",
      deliver: (records) => ledger.deliver(records),
      carry: () => [...this.#open].map((reservation) => this.#line("reserve", reservation.id, wholeOf(reservation))),
    });
    this.#spool = spool;
    spool.append(this.#line("boot"));
    if (!(await spool.drained(BOOT_MS))) {
      await spool.close(0);
      throw new Error("the books of the last run could not be closed; is the database there?");
    }
    this.#timers = [clock.interval(SWEEP_MS, () => this.#sweep())];
    this.#unsubscribe = db.subscribe(TOPIC, () => this.#budget?.forgetRefusals());
  }

  async stop(): Promise<void> {
    if (this.#users === 0) return;
    this.#users -= 1;
    if (this.#users > 0) return;
    this.abandon();
    this.#return(0);
    await this.#spool?.close(5_000);
  }

  /** Ends what runs by itself, and leaves the books as they are. */
  abandon(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel();
    this.#unsubscribe();
  }

  /** The account that a limit is counted in. */
  static account(spec: AccountSpec): LedgerAccount {
    return { ...spec, additional: additionalId(spec) };
  }

  tryReserve(id: string, needs: readonly Need<LedgerAccount>[]): Reservation<LedgerAccount> | undefined {
    return this.#budget?.tryReserve(id, needs);
  }

  reserve(id: string, needs: readonly Need<LedgerAccount>[]): Waiting<LedgerAccount> {
    if (!this.#budget) throw new Error("the quota has not been started");
    return this.#budget.reserve(id, needs);
  }

  /** Writes a reservation down, before its call goes out. */
  opened(reservation: Reservation<LedgerAccount>): void {
    this.#open.add(reservation);
    this.#spool?.append(this.#line("reserve", reservation.id, wholeOf(reservation)));
  }

  /** Ends a reservation, once. */
  settle(reservation: Reservation<LedgerAccount>, used: (account: LedgerAccount) => number): void {
    if (!this.#open.delete(reservation)) return;
    this.#spool?.append(this.#line("settle", reservation.id, this.#budget?.settle(reservation, used) ?? []), "patient");
  }

  /** Calls under way. */
  get open(): number {
    return this.#open.size;
  }

  /** When the database last answered anything, in monotonic ms. */
  get heardAt(): number {
    return this.#ledger?.heardAt ?? 0;
  }

  /** Tells all instances that limits have changed. */
  async changed(): Promise<void> {
    this.#budget?.forgetRefusals();
    await this.#options.db.publish(TOPIC, "changed");
  }

  #line(kind: BookRecord["kind"], id?: string, charges?: readonly Charge[]): string {
    this.#seq += 1;
    return writeRecord(kind, { instance: this.#options.spools.instance, epoch: this.#ledger?.epoch ?? 0, seq: this.#seq }, id, charges);
  }

  #return(idleMs: number): void {
    const returns = this.#budget?.takeIdle(idleMs) ?? [];
    if (returns.length > 0) this.#spool?.append(this.#line("return", "", returns));
  }

  #sweep(): void {
    const { clock, logger } = this.#options;
    const now = clock.monotonic();
    if (now - this.heardAt <= SILENT_MS) this.#return(IDLE_MS);
    // By its own time: a busy instance's lease is prolonged by all it writes, but others' leases run out all the same.
    if (this.#working || now - this.#tendedAt < PROLONG_MS) return;
    this.#working = true;
    this.#tendedAt = now;
    const upkeep = async () => {
      if (now - this.#prolongedAt >= PROLONG_MS) await this.#ledger?.prolong();
      await this.#ledger?.reap();
      this.#budget?.recalled((await this.#ledger?.recall()) ?? []);
    };
    upkeep()
      .catch((error) => logger.warn({ err: error }, "the lease on budgets could not be prolonged"))
      .finally(() => {
        this.#working = false;
      });
  }
}
