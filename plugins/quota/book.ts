import type { SqlDialect } from "headgate";
import { sql } from "kysely";
import { add, type Batch, chargesOf, type Sums } from "./batch.ts";
import { type Booked, type Books, balancesOf, forUpdate, locked, releaseAll, slicesOf } from "./books.ts";
import type { BookedSlice } from "./budget.ts";
import { closeOrphans, keepOrphans, type Orphan, takeOrphans } from "./orphans.ts";
import { isBy, isLater, orphanKey, type Place } from "./records.ts";
import { rowsOf } from "./tables.ts";

/** The process that books. */
export interface Self {
  readonly instance: string;
  readonly epoch: number;
  /** Instances, itself among them, of which it has read records since it began. */
  readonly read: ReadonlySet<string>;
  /** Now, in epoch ms. */
  readonly at: number;
}

export interface Delivered {
  /** Of this process's records, whether they were booked just now or before. */
  readonly slices: readonly BookedSlice[];
  readonly accounts: readonly Booked[];
}

/** Books a batch in one transaction, exactly once each record, however often it is offered. */
export async function bookIn(books: Books, dialect: SqlDialect, self: Self, { records, own }: Batch): Promise<Delivered> {
  const applied = new Map<string, Omit<Place, "instance">>();
  // Reservations book nothing; those that a new file opens with are numbered later than settlements that follow them there.
  const read = [...records.map(({ at, kind }) => ({ at, books: kind !== "reserve" })), ...(own ? [{ at: own.last, books: true }] : [])];
  for (const [instance, its] of Map.groupBy(read, ({ at }) => at.instance)) {
    const { epoch } = (its.at(-1) as (typeof its)[number]).at;
    applied.set(instance, await appliedOf(books, dialect, { instance, epoch }, its.findLast(({ books }) => books)?.at));
  }
  const earlier = records.filter((record) => !isBy(self, record));
  const closed = await takeOrphans(
    books,
    earlier.flatMap((record) => (record.kind === "settle" ? [orphanKey(record)] : [])),
  );
  const open = new Map<string, Orphan>();
  const pending = new Map<string, Sums>();
  const told: Sums = new Map();
  const changed = new Set<string>();
  const postAll = async () => {
    for (const [instance, sums] of pending) await post(books, dialect, instance, sums, changed);
    pending.clear();
  };
  for (const record of records) {
    const { instance } = record.at;
    const isOwn = isBy(self, record);
    const news = isLater(record.at, applied.get(instance) as Place);
    if (record.kind === "reserve") open.set(orphanKey(record), { instance, charges: record.charges });
    else if (record.kind === "boot") {
      if (!news || !isOwn) continue;
      // All that earlier processes wrote has been read. What was set aside for calls whose end they did not write counts as used.
      await keepOrphans(books, self.instance, open);
      open.clear();
      for (const lost of await closeOrphans(books, [...self.read], self.at)) add(sumsOf(pending, lost.instance), lost.charges);
      await postAll();
      for (const each of self.read) await releaseAll(books, each);
    } else if (isOwn) {
      // This process knows of its own reservations, so that none of them is an orphan.
      add(told, record.charges);
      if (news) add(sumsOf(pending, instance), record.charges);
    } else {
      const key = orphanKey(record);
      open.delete(key);
      if (news && !closed.has(key)) add(sumsOf(pending, instance), record.charges);
    }
  }
  if (own) {
    if (!isLater(own.first, applied.get(self.instance) as Place)) throw new Error("some of these records have been booked before");
    add(told, chargesOf(own.sums));
    add(sumsOf(pending, self.instance), chargesOf(own.sums));
  }
  await keepOrphans(books, self.instance, open);
  await postAll();
  const rows = told.size > 0 ? await slicesOf(books, self.instance, [...told.keys()]) : [];
  const held = new Map(rows.map(({ account, amount }) => [account, amount]));
  const slices = [...told].map(([account, { unheld }]) => ({ account, unheld, slice: held.get(account) ?? 0 }));
  return { slices, accounts: await balancesOf(books, [...changed]) };
}

/** Up to where the instance's records were booked before; sets it to `last`, where that is later. The row is locked until the end. */
async function appliedOf(
  books: Books,
  dialect: SqlDialect,
  { instance, epoch }: Omit<Place, "seq">,
  last: Place | undefined,
): Promise<Omit<Place, "instance">> {
  await books
    .insertInto("quota_instances")
    .values({ id: instance, epoch, applied_epoch: 0, applied_seq: 0, expires_at: null, lapses: 0 })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
  const [row] = await forUpdate(
    dialect,
    books.selectFrom("quota_instances").select(["applied_epoch", "applied_seq"]).where("id", "=", instance),
  ).execute();
  const applied = { epoch: row?.applied_epoch ?? 0, seq: row?.applied_seq ?? 0 };
  if (last && isLater(last, applied)) {
    await books
      .updateTable("quota_instances")
      .set({ applied_epoch: last.epoch, applied_seq: last.seq })
      .where("id", "=", instance)
      .execute();
  }
  return applied;
}

/** Writes charges into slices and accounts. What a slice no longer has, because its lease ran out, is given up already. */
async function post(books: Books, dialect: SqlDialect, instance: string, sums: Sums, changed: Set<string>): Promise<void> {
  const ids = [...sums.keys()].sort();
  if (ids.length === 0) return;
  await locked(books, dialect, ids);
  const held = new Map((await slicesOf(books, instance, ids)).map(({ account, amount }) => [account, amount]));
  const rows = [...sums].map(([id, { used, unheld }]) => {
    changed.add(id);
    return [id, used, Math.min(unheld, held.get(id) ?? 0)];
  });
  const values = rowsOf(dialect, JSON.stringify(rows));
  await sql`update quota_slices set amount = amount - v.b from ${values} as v where quota_slices.account = v.id and quota_slices.instance = ${instance}`.execute(
    books,
  );
  await sql`update quota_accounts set used = used + v.a, held = held - v.b from ${values} as v where quota_accounts.id = v.id`.execute(
    books,
  );
}

function sumsOf(all: Map<string, Sums>, instance: string): Sums {
  const found = all.get(instance) ?? new Map();
  all.set(instance, found);
  return found;
}
