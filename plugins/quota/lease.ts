import type { SqlDialect } from "headgate";
import { sql } from "kysely";
import { type Booked, type Books, balancesOf, type LedgerAccount, locked, slicesOf } from "./books.ts";
import type { Lease, Want } from "./budget.ts";
import { overrideKey, overridesOf } from "./overrides.ts";

/** A slice is this part of what is left, so that many instances can have one; with less than that for each, it is just what is needed. */
const SHARE = 16;

/** Enlarges the instance's slices where limits allow it, in one transaction over all accounts. */
export async function leaseIn(
  books: Books,
  dialect: SqlDialect,
  instance: string,
  wants: readonly Want<LedgerAccount>[],
): Promise<{ leases: Lease[]; begun: Booked[] }> {
  const accounts = wants.map(({ account }) => account);
  const opened = await books
    .insertInto("quota_accounts")
    .values(accounts.map(openingRow))
    .onConflict((conflict) => conflict.column("id").doNothing())
    .returning("id")
    .execute();
  const ids = [...new Set(accounts.flatMap(({ id, additional }) => [id, additional]))].sort();
  const rows = new Map((await locked(books, dialect, ids)).map((row) => [row.id, { ...row }]));
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
  const fresh = new Set(opened.map(({ id }) => id));
  const begun =
    fresh.size > 0
      ? await afterUsed(
          books,
          accounts.filter(({ id }) => fresh.has(id)),
        )
      : [];
  return { leases, begun };
}

/** Of accounts just opened those whose limit was used in an earlier window. */
async function afterUsed(books: Books, accounts: readonly LedgerAccount[]): Promise<Booked[]> {
  const after: string[] = [];
  for (const { id, kind, subject, unit, window, span } of accounts) {
    const before = await books
      .selectFrom("quota_accounts")
      .select("used")
      .where("kind", "=", kind)
      .where("subject", "=", subject)
      .where("unit", "=", unit)
      .where("window", "=", window)
      .where("window_start", "<", span.start)
      .orderBy("window_start", "desc")
      .limit(1)
      .executeTakeFirst();
    if (before && before.used > 0) after.push(id);
  }
  return balancesOf(books, after);
}

/** What of the rest becomes a slice: enough for all who wait, with as much again as a share of the rest allows, in whole needs. */
export function sliceSize(rest: number, least: number, all: number): number {
  if (rest <= 0) return 0;
  if (all <= 0) return 0;
  const share = Math.floor(rest / SHARE);
  const extra = share > all && least > 0 ? Math.floor((share - all) / least) * least : 0;
  return Math.min(rest, all + extra);
}

function openingRow({ id, kind, subject, unit, window, span, limit, rule }: LedgerAccount) {
  return { id, kind, subject, unit, window, window_start: span.start, window_end: span.end, rule, limit_amount: limit, used: 0, held: 0 };
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
