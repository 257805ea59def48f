import type { Database } from "headgate";
import { type KyselyPlugin, sql, type Transaction } from "kysely";
import { readBatch } from "./batch.ts";
import { bookIn, type Delivered } from "./book.ts";
import { type Booked, forUpdate, type LedgerAccount, releaseAll } from "./books.ts";
import type { BookedSlice, Lease, Lessor, Want } from "./budget.ts";
import { leaseIn } from "./lease.ts";
import { forgetOrphans } from "./orphans.ts";
import type { Tables } from "./tables.ts";

export interface LedgerOptions {
  readonly db: Database;
  readonly instance: string;
  /** Epoch ms. */
  readonly now: () => number;
  /** Monotonic ms. */
  readonly monotonic: () => number;
  /** Told, in order, of every slice from which something was booked, and of the accounts that changed. */
  readonly onBooked: (slices: readonly BookedSlice[], accounts: readonly Booked[]) => void;
  /** Told of windows that have begun after one that was used, once by one of the instances. */
  readonly onBegun: (accounts: readonly Booked[]) => void;
  /** The lease on all slices has been prolonged, counted from this moment; `lapsed` when it had run out and all slices were released. */
  readonly onProlonged: (from: number, lapsed: boolean) => void;
}

/** How long a lease lasts without being prolonged, in ms. */
export const LEASE_MS = 60_000;
/** How long it is known which calls of a process that was killed have been charged, in ms; its files are read long before. */
const ORPHANS_MS = 30 * 86_400_000;

/** What a transaction says of the lease. */
interface Prolonged {
  readonly from: number;
  readonly lapses: number;
}

/** The books that all instances share. One transaction at a time, so that what is known of the slices is never half new. */
export class Ledger implements Lessor<LedgerAccount> {
  readonly #options: LedgerOptions;
  readonly #db: Database;
  /** Instances of which this process has read records. */
  readonly #read: Set<string>;
  #lane: Promise<unknown> = Promise.resolve();
  #epoch = 0;
  #lapses = 0;
  #heardAt = 0;
  /** A delivery has failed: some of what is offered again may have been booked. */
  #deliveryInDoubt = false;
  /** A lease has failed: it may stand in the books all the same, when just the answer to its commit was lost. */
  #leaseInDoubt = false;
  /** Notes when an answer came. */
  readonly #ear: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      this.#heardAt = this.#options.monotonic();
      return result;
    },
  };

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#db = options.db;
    this.#read = new Set([options.instance]);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** When the database last answered one of its statements, in monotonic ms. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Begins a new epoch of this instance. */
  async begin(): Promise<void> {
    const { instance } = this.#options;
    const from = this.#options.monotonic();
    const expires_at = this.#options.now() + LEASE_MS;
    const row = await this.#transaction<{ epoch: number; lapses: number }>((books) =>
      books
        .insertInto("quota_instances")
        .values({ id: instance, epoch: 1, applied_epoch: 0, applied_seq: 0, expires_at, lapses: 0 })
        .onConflict((conflict) =>
          conflict.column("id").doUpdateSet((old) => ({ epoch: sql`${old.ref("quota_instances.epoch")} + 1`, expires_at })),
        )
        .returning(["epoch", "lapses"])
        .executeTakeFirstOrThrow(),
    );
    this.#epoch = row.epoch;
    this.#lapses = row.lapses;
    this.#options.onProlonged(from, false);
  }

  lease(wants: readonly Want<LedgerAccount>[]): Promise<readonly Lease[]> {
    return this.#inLane(async () => {
      const { leases, begun, prolonged } = await this.#transaction(async (books) => {
        const done = await this.#prolong(books);
        return { ...(await leaseIn(books, this.#db.dialect, this.#options.instance, wants)), prolonged: done };
      }).catch((error) => {
        this.#leaseInDoubt = true;
        throw error;
      });
      this.#prolonged(prolonged);
      if (begun.length > 0) this.#options.onBegun(begun);
      return leases;
    });
  }

  /** Books a batch of lines, exactly once each, however often it is offered. Rejects when it has to be offered again. */
  deliver(lines: readonly string[]): Promise<void> {
    const place = { instance: this.#options.instance, epoch: this.#epoch };
    const batch = readBatch(lines, place, this.#deliveryInDoubt);
    if (batch.records.length === 0 && !batch.own) return Promise.resolve();
    return this.#inLane(async () => {
      for (const { at } of batch.records) this.#read.add(at.instance);
      const self = { ...place, read: this.#read, at: this.#options.now() };
      // Until it has succeeded: it may have, when just the answer to its commit was lost.
      this.#deliveryInDoubt = true;
      const { slices, accounts, prolonged } = await this.#transaction<Delivered & { prolonged: Prolonged }>(async (books) => {
        const done = await this.#prolong(books);
        return { ...(await bookIn(books, this.#db.dialect, self, batch)), prolonged: done };
      });
      this.#deliveryInDoubt = false;
      this.#prolonged(prolonged);
      this.#options.onBooked(slices, accounts);
    });
  }

  /** Releases the slices of instances whose lease has run out; returns how many there were. */
  reap(): Promise<number> {
    return this.#inLane(async () => {
      const { instance, now } = this.#options;
      const gone = await this.#db
        .tables<Tables>()
        .selectFrom("quota_instances")
        .select("id")
        .where("expires_at", "<", now())
        .where("id", "!=", instance)
        .limit(20)
        .execute();
      await forgetOrphans(this.#db.tables<Tables>(), now() - ORPHANS_MS);
      for (const { id } of gone) {
        await this.#transaction<void>(async (books) => {
          const [row] = await forUpdate(
            this.#db.dialect,
            books.selectFrom("quota_instances").select("expires_at").where("id", "=", id),
          ).execute();
          if (row?.expires_at === null || row === undefined || row.expires_at >= now()) return;
          await releaseAll(books, id);
          const ended = books.updateTable("quota_instances").set((instance) => ({ expires_at: null, lapses: instance("lapses", "+", 1) }));
          await ended.where("id", "=", id).execute();
        });
      }
      return gone.length;
    });
  }

  /** This instance's slices as they are in the books, after a lease of which it is not known whether it was granted. */
  recall(): Promise<readonly Omit<BookedSlice, "unheld">[]> {
    return this.#inLane(async () => {
      if (!this.#leaseInDoubt) return [];
      const own = this.#db.tables<Tables>().selectFrom("quota_slices").where("instance", "=", this.#options.instance);
      const slices = await own.select(["account", "amount as slice"]).where("amount", ">", 0).execute();
      this.#leaseInDoubt = false;
      return slices;
    });
  }

  /** Prolongs the lease of an instance that has nothing else to say. */
  prolong(): Promise<void> {
    return this.#inLane(async () => {
      this.#prolonged(await this.#transaction<Prolonged>((books) => this.#prolong(books)));
    });
  }

  async #prolong(books: Transaction<Tables>): Promise<Prolonged> {
    const { instance, now, monotonic } = this.#options;
    const from = monotonic();
    const { lapses } = await books
      .updateTable("quota_instances")
      .set({ expires_at: now() + LEASE_MS })
      .where("id", "=", instance)
      .returning("lapses")
      .executeTakeFirstOrThrow();
    return { from, lapses };
  }

  #prolonged({ from, lapses }: Prolonged): void {
    const lapsed = lapses !== this.#lapses;
    this.#lapses = lapses;
    this.#options.onProlonged(from, lapsed);
  }

  #transaction<Result>(work: (books: Transaction<Tables>) => Promise<Result>): Promise<Result> {
    return this.#db.transaction<Tables, Result>((books) => work(books.withPlugin(this.#ear)));
  }

  #inLane<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lane.then(work, work);
    this.#lane = turn.catch(() => undefined);
    return turn;
  }
}
