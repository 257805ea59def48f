import type { Database } from "headgate";
import { type Kysely, type KyselyPlugin, sql, type Transaction } from "kysely";
import { type AccountSpec, additionalId } from "./accounts.ts";
import type { Balance, BookedSlice, Charge, Lease, Lessor, Want } from "./budget.ts";
import { type BookRecord, isLater, isOwnReservation, type Place, readRecord } from "./records.ts";
import { rowsOf, type Tables } from "./tables.ts";

/** An account of this kind of spec, with the id of what is bought on top. */
export interface LedgerAccount extends AccountSpec {
  readonly additional: string;
}

/** What the books say of an account after they were written. */
export interface Booked extends Balance {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly unit: string;
  readonly window: string;
  readonly windowStart: number;
  readonly windowEnd: number | null;
  readonly rule: string;
}

export interface LedgerOptions {
  readonly db: Database;
  readonly instance: string;
  /** Epoch ms. */
  readonly now: () => number;
  /** Monotonic ms. */
  readonly monotonic: () => number;
  /** Told, in order, of every slice from which something was booked, and of the accounts that changed. */
  readonly onBooked: (slices: readonly BookedSlice[], accounts: readonly Booked[]) => void;
  /** The lease on all slices has been prolonged, counted from this moment; `lapsed` when it had run out and all slices were released. */
  readonly onProlonged: (from: number, lapsed: boolean) => void;
}

/** How long a lease lasts without being prolonged, in ms. */
export const LEASE_MS = 60_000;
/** A slice is this part of what is left, so that many instances can have one; with less than that for each, it is just what is needed. */
const SHARE = 16;

/** Reservations of which the end is not known, by id. */
type Orphans = Map<string, { readonly instance: string; readonly charges: readonly Charge[] }>;

/** What a transaction says of the lease. */
interface Prolonged {
  readonly from: number;
  readonly lapses: number;
}

type Books = Transaction<Tables> | Kysely<Tables>;

/** The books that all instances share. One transaction at a time, so that what is known of the slices is never half new. */
export class Ledger implements Lessor<LedgerAccount> {
  readonly #options: LedgerOptions;
  readonly #db: Database;
  /** Reservations whose end has not been booked, from before this process; by id. */
  #orphans: Orphans = new Map();
  #lane: Promise<unknown> = Promise.resolve();
  #epoch = 0;
  #lapses = 0;
  #heardAt = 0;
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
      const { leases, prolonged } = await this.#transaction<{ leases: Lease[]; prolonged: Prolonged }>(async (books) => {
        const done = await this.#prolong(books);
        return { leases: await this.#lease(books, wants), prolonged: done };
      });
      this.#prolonged(prolonged);
      return leases;
    });
  }

  async #lease(books: Transaction<Tables>, wants: readonly Want<LedgerAccount>[]): Promise<Lease[]> {
    const { instance } = this.#options;
    const accounts = wants.map(({ account }) => account);
    await books
      .insertInto("quota_accounts")
      .values(accounts.map(openingRow))
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    const ids = [...new Set(accounts.flatMap(({ id, additional }) => [id, additional]))].sort();
    const rows = new Map((await this.#locked(books, ids)).map((row) => [row.id, { ...row }]));
    const slices = new Map((await slicesOf(books, instance, ids)).map(({ account, amount }) => [account, amount]));
    const overrides = await overridesOf(books, accounts);
    const grants = new Map<string, number>();
    const leases: Lease[] = [];
    for (const { account, least, all } of wants) {
      const row = rows.get(account.id) as { limit_amount: number; used: number; held: number };
      row.limit_amount = overrides.get(overrideKey(account)) ?? account.limit;
      const rest = Math.max(0, row.limit_amount - row.used - row.held);
      const extra = rows.get(account.additional);
      const extraRest = extra ? Math.max(0, extra.limit_amount - extra.used - extra.held) : 0;
      // What would help nobody here stays for others.
      const granted = rest + extraRest < least ? 0 : sliceSize(rest, least, all);
      grants.set(account.id, granted);
      row.held += granted;
      const short = rest + extraRest < least ? 0 : all - granted;
      if (extra && short > 0) {
        const more = Math.min(short, extraRest);
        grants.set(extra.id, (grants.get(extra.id) ?? 0) + more);
        extra.held += more;
      }
    }
    for (const [id, granted] of grants) {
      const row = rows.get(id) as { limit_amount: number };
      await books
        .updateTable("quota_accounts")
        .set((account) => ({ held: account("held", "+", granted), limit_amount: row.limit_amount }))
        .where("id", "=", id)
        .execute();
      if (granted > 0) await enlarge(books, instance, id, granted);
      slices.set(id, (slices.get(id) ?? 0) + granted);
    }
    for (const { account } of wants) {
      const row = rows.get(account.id) as { limit_amount: number; used: number; held: number };
      const extra = rows.get(account.additional);
      leases.push({
        account: account.id,
        slice: slices.get(account.id) ?? 0,
        additional: account.additional,
        additionalSlice: slices.get(account.additional) ?? 0,
        balance: {
          used: row.used,
          held: row.held,
          limit: row.limit_amount,
          additional: extra ? Math.max(0, extra.limit_amount - extra.used - extra.held) : 0,
        },
      });
    }
    return leases;
  }

  /** Books a batch of lines, exactly once each, however often it is offered. Rejects when it has to be offered again. */
  deliver(lines: readonly string[]): Promise<void> {
    return this.#inLane(async () => {
      const own = { instance: this.#options.instance, epoch: this.#epoch };
      const records = lines.flatMap((line) => (isOwnReservation(line, own) ? [] : (readRecord(line) ?? [])));
      if (records.length === 0) return;
      const { orphans, slices, accounts, prolonged } = await this.#transaction<Delivered>((books) => this.#book(books, records));
      this.#orphans = orphans;
      this.#prolonged(prolonged);
      const mine = records.filter(({ at, kind }) => kind !== "reserve" && at.instance === own.instance && at.epoch === own.epoch);
      const unheld = sumsOf(mine.flatMap((record) => ("charges" in record ? record.charges : [])));
      this.#options.onBooked(
        [...unheld].map(([account, sum]) => ({ account, unheld: sum.unheld, slice: slices.get(account) ?? 0 })),
        accounts,
      );
    });
  }

  async #book(books: Transaction<Tables>, records: readonly BookRecord[]): Promise<Delivered> {
    const prolonged = await this.#prolong(books);
    const orphans: Orphans = new Map(this.#orphans);
    const changed = new Set<string>();
    const applied = new Map<string, Omit<Place, "instance">>();
    const pending = new Map<string, Charge[]>();
    const charge = (instance: string, charges: readonly Charge[]) => pending.set(instance, [...(pending.get(instance) ?? []), ...charges]);
    const post = async () => {
      for (const [instance, charges] of pending) await this.#post(books, instance, charges, changed);
      pending.clear();
    };
    for (const [instance, its] of Map.groupBy(records, ({ at }) => at.instance)) {
      applied.set(instance, await this.#appliedOf(books, instance, (its.at(-1) as BookRecord).at));
    }
    for (const record of records) {
      const { instance } = record.at;
      const news = isLater(record.at, applied.get(instance) as Place);
      if (record.kind === "reserve") orphans.set(record.id, { instance, charges: record.charges });
      else if (record.kind === "boot") {
        // Nothing more will be heard of these calls. What was set aside for them counts as used.
        if (news) for (const lost of orphans.values()) charge(lost.instance, lost.charges);
        await post();
        if (news)
          for (const each of new Set([instance, ...applied.keys(), ...[...orphans.values()].map((lost) => lost.instance)]))
            await releaseAll(books, each);
        orphans.clear();
      } else {
        if (record.kind === "settle") orphans.delete(record.id);
        if (news) charge(instance, record.charges);
      }
    }
    await post();
    const own = await slicesOf(books, this.#options.instance, chargedIn(records));
    const slices = new Map(own.map(({ account, amount }) => [account, amount]));
    return { orphans, slices, accounts: await this.#balances(books, [...changed]), prolonged };
  }

  /** Up to where the instance's records were booked before; sets it to `last`. The row is locked until the end. */
  async #appliedOf(books: Transaction<Tables>, instance: string, last: Omit<Place, "instance">): Promise<Omit<Place, "instance">> {
    await books
      .insertInto("quota_instances")
      .values({ id: instance, epoch: last.epoch, applied_epoch: 0, applied_seq: 0, expires_at: null, lapses: 0 })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    const [row] = await forUpdate(
      this.#db,
      books.selectFrom("quota_instances").select(["applied_epoch", "applied_seq"]).where("id", "=", instance),
    ).execute();
    const applied = { epoch: row?.applied_epoch ?? 0, seq: row?.applied_seq ?? 0 };
    if (isLater(last, applied)) {
      await books
        .updateTable("quota_instances")
        .set({ applied_epoch: last.epoch, applied_seq: last.seq })
        .where("id", "=", instance)
        .execute();
    }
    return applied;
  }

  /** Writes charges into slices and accounts. What a slice no longer has, because its lease ran out, is given up already. */
  async #post(books: Transaction<Tables>, instance: string, charges: readonly Charge[], changed: Set<string>): Promise<void> {
    const sums = sumsOf(charges);
    const ids = [...sums.keys()].sort();
    if (ids.length === 0) return;
    await this.#locked(books, ids);
    const held = new Map((await slicesOf(books, instance, ids)).map(({ account, amount }) => [account, amount]));
    const rows = ids.map((id) => {
      const { used, unheld } = sums.get(id) as { used: number; unheld: number };
      changed.add(id);
      return [id, used, Math.min(unheld, held.get(id) ?? 0)];
    });
    const values = rowsOf(this.#db.dialect, JSON.stringify(rows));
    await sql`update quota_slices set amount = amount - v.b from ${values} as v where quota_slices.account = v.id and quota_slices.instance = ${instance}`.execute(
      books,
    );
    await sql`update quota_accounts set used = used + v.a, held = held - v.b from ${values} as v where quota_accounts.id = v.id`.execute(
      books,
    );
  }

  async #balances(books: Books, ids: readonly string[]): Promise<Booked[]> {
    if (ids.length === 0) return [];
    const rows = await books.selectFrom("quota_accounts").selectAll().where("id", "in", ids).execute();
    const windows = rows.filter(({ window }) => window !== "additional");
    const topUps = await books
      .selectFrom("quota_accounts")
      .select(["id", "limit_amount", "used"])
      .where("id", "in", ["", ...windows.map(additionalId)])
      .execute();
    const additional = new Map(topUps.map(({ id, limit_amount, used }) => [id, Math.max(0, limit_amount - used)]));
    return windows.map((row) => bookedOf(row, additional.get(additionalId(row)) ?? 0));
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
      for (const { id } of gone) {
        await this.#transaction<void>(async (books) => {
          const [row] = await forUpdate(this.#db, books.selectFrom("quota_instances").select("expires_at").where("id", "=", id)).execute();
          if (row?.expires_at === null || row === undefined || row.expires_at >= now()) return;
          await releaseAll(books, id);
          const ended = books.updateTable("quota_instances").set((instance) => ({ expires_at: null, lapses: instance("lapses", "+", 1) }));
          await ended.where("id", "=", id).execute();
        });
      }
      return gone.length;
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

  #locked(books: Transaction<Tables>, ids: readonly string[]) {
    return forUpdate(
      this.#db,
      books.selectFrom("quota_accounts").select(["id", "limit_amount", "used", "held"]).where("id", "in", ids).orderBy("id"),
    ).execute();
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

/** What of the rest becomes a slice: enough for all who wait, with as much again as a share of the rest allows, in whole needs. */
export function sliceSize(rest: number, least: number, all: number): number {
  if (rest <= 0) return 0;
  if (all <= 0) return 0;
  const share = Math.floor(rest / SHARE);
  const extra = share > all && least > 0 ? Math.floor((share - all) / least) * least : 0;
  return Math.min(rest, all + extra);
}

interface Delivered {
  readonly orphans: Orphans;
  /** This instance's slices of the accounts that its records name. */
  readonly slices: ReadonlyMap<string, number>;
  readonly accounts: readonly Booked[];
  readonly prolonged: Prolonged;
}

function sumsOf(charges: readonly Charge[]): Map<string, { used: number; unheld: number }> {
  const sums = new Map<string, { used: number; unheld: number }>();
  for (const { account, used, unheld } of charges) {
    const sum = sums.get(account) ?? { used: 0, unheld: 0 };
    sums.set(account, { used: sum.used + used, unheld: sum.unheld + unheld });
  }
  return sums;
}

function chargedIn(records: readonly BookRecord[]): string[] {
  return [...new Set(["", ...records.flatMap((record) => ("charges" in record ? record.charges.map(({ account }) => account) : []))])];
}

function openingRow({ id, kind, subject, unit, window, span, limit, rule }: LedgerAccount) {
  return { id, kind, subject, unit, window, window_start: span.start, window_end: span.end, rule, limit_amount: limit, used: 0, held: 0 };
}

export function bookedOf(row: Tables["quota_accounts"], additional: number): Booked {
  const { id, kind, subject, unit, window, window_start, window_end, rule, limit_amount, used, held } = row;
  return {
    id,
    kind,
    subject,
    unit,
    window,
    windowStart: window_start,
    windowEnd: window_end,
    rule,
    limit: limit_amount,
    used,
    held,
    additional,
  };
}

function slicesOf(books: Books, instance: string, ids: readonly string[]) {
  return books
    .selectFrom("quota_slices")
    .select(["account", "amount"])
    .where("instance", "=", instance)
    .where("account", "in", ids)
    .execute();
}

async function enlarge(books: Books, instance: string, account: string, amount: number): Promise<void> {
  await books
    .insertInto("quota_slices")
    .values({ instance, account, amount })
    .onConflict((conflict) =>
      conflict.columns(["instance", "account"]).doUpdateSet((old) => ({ amount: sql`${old.ref("quota_slices.amount")} + ${amount}` })),
    )
    .execute();
}

async function releaseAll(books: Books, instance: string): Promise<void> {
  await sql`update quota_accounts set held = held - s.amount from quota_slices as s where s.account = quota_accounts.id and s.instance = ${instance}`.execute(
    books,
  );
  await books.deleteFrom("quota_slices").where("instance", "=", instance).execute();
}

export function overrideKey({ kind, subject, unit, window }: { kind: string; subject: string; unit: string; window: string }): string {
  return JSON.stringify([kind, subject, unit, window]);
}

async function overridesOf(books: Books, accounts: readonly LedgerAccount[]): Promise<Map<string, number>> {
  const subjects = [...new Set(accounts.map(({ subject }) => subject))];
  const rows = await books.selectFrom("quota_overrides").selectAll().where("subject", "in", subjects).execute();
  return new Map(rows.map((row) => [overrideKey(row), row.amount]));
}

/** SQLite has one writer at a time, and no row locks. */
function forUpdate<Query extends { forUpdate(): Query }>(db: Database, query: Query): Query {
  return db.dialect === "postgres" ? query.forUpdate() : query;
}
