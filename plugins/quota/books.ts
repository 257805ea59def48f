import type { SqlDialect } from "headgate";
import { type Kysely, sql, type Transaction } from "kysely";
import { type AccountSpec, additionalId } from "./accounts.ts";
import type { Balance } from "./budget.ts";
import type { Tables } from "./tables.ts";

export type Books = Transaction<Tables> | Kysely<Tables>;

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

/** Accounts by id, locked until the end of the transaction in one order everywhere. */
export function locked(books: Books, dialect: SqlDialect, ids: readonly string[]) {
  return forUpdate(
    dialect,
    books.selectFrom("quota_accounts").select(["id", "limit_amount", "used", "held"]).where("id", "in", ids).orderBy("id"),
  ).execute();
}

/** What the books say of these accounts. */
export async function balancesOf(books: Books, ids: readonly string[]): Promise<Booked[]> {
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

export function slicesOf(books: Books, instance: string, ids: readonly string[]) {
  return books
    .selectFrom("quota_slices")
    .select(["account", "amount"])
    .where("instance", "=", instance)
    .where("account", "in", ids)
    .execute();
}

export async function releaseAll(books: Books, instance: string): Promise<void> {
  await sql`update quota_accounts set held = held - s.amount from quota_slices as s where s.account = quota_accounts.id and s.instance = ${instance}`.execute(
    books,
  );
  await books.deleteFrom("quota_slices").where("instance", "=", instance).execute();
}

/** SQLite has one writer at a time, and no row locks. */
export function forUpdate<Query extends { forUpdate(): Query }>(dialect: SqlDialect, query: Query): Query {
  return dialect === "postgres" ? query.forUpdate() : query;
}
