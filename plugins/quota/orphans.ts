/**
 * Reservations of earlier processes whose end has not been read yet. They are kept until all that those processes wrote
 * has been read, and afterwards as closed, so that no one of them is charged twice, whatever is read again after a crash.
 */
import type { Books } from "./books.ts";
import type { Charge } from "./budget.ts";

export interface Orphan {
  readonly instance: string;
  readonly charges: readonly Charge[];
}

/** Removes those that have ended after all; of these keys returns those that were closed before, as lost. */
export async function takeOrphans(books: Books, keys: readonly string[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const rows = await books.selectFrom("quota_orphans").select("id").where("id", "in", keys).where("closed_at", "is not", null).execute();
  await books.deleteFrom("quota_orphans").where("id", "in", keys).where("closed_at", "is", null).execute();
  return new Set(rows.map(({ id }) => id));
}

/** `reader`: the instance that has read of them. */
export async function keepOrphans(books: Books, reader: string, orphans: ReadonlyMap<string, Orphan>): Promise<void> {
  if (orphans.size === 0) return;
  const rows = [...orphans].map(([id, { instance, charges }]) => ({
    id,
    reader,
    instance,
    charges: JSON.stringify(charges),
    closed_at: null,
  }));
  await books
    .insertInto("quota_orphans")
    .values(rows)
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
}

/** Closes all that these instances have read of, at a moment in epoch ms, and returns them. */
export async function closeOrphans(books: Books, readers: readonly string[], at: number): Promise<Orphan[]> {
  const rows = await books
    .updateTable("quota_orphans")
    .set({ closed_at: at })
    .where("reader", "in", readers)
    .where("closed_at", "is", null)
    .returning(["instance", "charges"])
    .execute();
  return rows.map(({ instance, charges }) => ({ instance, charges: JSON.parse(charges) as Charge[] }));
}

/** Removes those closed before a moment, in epoch ms. */
export async function forgetOrphans(books: Books, before: number): Promise<void> {
  await books.deleteFrom("quota_orphans").where("closed_at", "<", before).execute();
}
