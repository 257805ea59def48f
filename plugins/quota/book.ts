import type { SqlDialect } from "headgate";
import { sql } from "kysely";
import { type Booked, type Books, balancesOf, forUpdate, locked, releaseAll, slicesOf } from "./books.ts";
import type { Charge } from "./budget.ts";
import { closeOrphans, keepOrphans, type Orphan, takeOrphans } from "./orphans.ts";
import { type BookRecord, isLater, orphanKey, type Place } from "./records.ts";
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
  /** This instance's slices of the accounts that its records name. */
  readonly slices: ReadonlyMap<string, number>;
  readonly accounts: readonly Booked[];
}

/** Books records in one transaction, exactly once each, however often they are offered. */
export async function bookIn(books: Books, dialect: SqlDialect, self: Self, records: readonly BookRecord[]): Promise<Delivered> {
  const applied = new Map<string, Omit<Place, "instance">>();
  for (const [instance, its] of Map.groupBy(records, ({ at }) => at.instance)) {
    applied.set(instance, await appliedOf(books, dialect, instance, its));
  }
  const earlier = records.filter(({ at }) => at.instance !== self.instance || at.epoch !== self.epoch);
  const closed = await takeOrphans(
    books,
    earlier.flatMap((record) => (record.kind === "settle" ? [orphanKey(record)] : [])),
  );
  const open = new Map<string, Orphan>();
  const pending = new Map<string, Charge[]>();
  const charge = (instance: string, charges: readonly Charge[]) => {
    const list = pending.get(instance) ?? [];
    list.push(...charges);
    pending.set(instance, list);
  };
  const changed = new Set<string>();
  const postAll = async () => {
    for (const [instance, charges] of pending) await post(books, dialect, instance, charges, changed);
    pending.clear();
  };
  for (const record of records) {
    const { instance, epoch } = record.at;
    const key = orphanKey(record);
    const news = isLater(record.at, applied.get(instance) as Place);
    if (record.kind === "reserve") open.set(key, { instance, charges: record.charges });
    else if (record.kind === "boot") {
      if (!news || instance !== self.instance || epoch !== self.epoch) continue;
      // All that earlier processes wrote has been read. What was set aside for calls whose end they did not write counts as used.
      await keepOrphans(books, self.instance, open);
      open.clear();
      for (const lost of await closeOrphans(books, [...self.read], self.at)) charge(lost.instance, lost.charges);
      await postAll();
      for (const each of self.read) await releaseAll(books, each);
    } else {
      open.delete(key);
      if (news && !closed.has(key)) charge(instance, record.charges);
    }
  }
  await keepOrphans(books, self.instance, open);
  await postAll();
  const own = await slicesOf(books, self.instance, chargedIn(records));
  const slices = new Map(own.map(({ account, amount }) => [account, amount]));
  return { slices, accounts: await balancesOf(books, [...changed]) };
}

/** Up to where the instance's records were booked before; sets it to the last of these. The row is locked until the end. */
async function appliedOf(
  books: Books,
  dialect: SqlDialect,
  instance: string,
  records: readonly BookRecord[],
): Promise<Omit<Place, "instance">> {
  const { epoch } = (records.at(-1) as BookRecord).at;
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
  // Reservations book nothing; those that a new file opens with are numbered later than settlements that follow them there.
  const last = records.findLast(({ kind }) => kind !== "reserve")?.at;
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
async function post(books: Books, dialect: SqlDialect, instance: string, charges: readonly Charge[], changed: Set<string>): Promise<void> {
  const sums = sumsOf(charges);
  const ids = [...sums.keys()].sort();
  if (ids.length === 0) return;
  await locked(books, dialect, ids);
  const held = new Map((await slicesOf(books, instance, ids)).map(({ account, amount }) => [account, amount]));
  const rows = ids.map((id) => {
    const { used, unheld } = sums.get(id) as { used: number; unheld: number };
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

/** Charges together, by account. */
export function sumsOf(charges: readonly Charge[]): Map<string, { used: number; unheld: number }> {
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
