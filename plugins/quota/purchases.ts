import { type Database, GatewayError } from "headgate";
import { additionalId } from "./accounts.ts";
import type { Unit } from "./limit-text.ts";
import type { Tables } from "./tables.ts";

export type Purchase = Omit<Tables["quota_transactions"], "balance_after" | "unit"> & { readonly unit: Unit };

/** Adds to what a subject has on top, once for each reference; resolves to what was booked under it, now or before. */
export function bookPurchase(db: Database, purchase: Purchase): Promise<Tables["quota_transactions"]> {
  return db.transaction<Tables, Tables["quota_transactions"]>(async (books) => {
    const known = await books.selectFrom("quota_transactions").selectAll().where("reference", "=", purchase.reference).executeTakeFirst();
    if (known) return known;
    const { kind, subject, unit, amount } = purchase;
    const account = { kind, subject, unit };
    const accountId = additionalId(account);
    await books
      .insertInto("quota_accounts")
      .values({
        ...account,
        id: accountId,
        window: "additional",
        window_start: 0,
        window_end: null,
        rule: "additional",
        limit_amount: 0,
        used: 0,
        held: 0,
      })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    const changed = await books
      .updateTable("quota_accounts")
      .set((row) => ({ limit_amount: row("limit_amount", "+", amount) }))
      .where("id", "=", accountId)
      // Only what is neither used nor on lease can be taken back.
      .where((row) => row(row("limit_amount", "+", amount), ">=", row("used", "+", row.ref("held"))))
      .returning(["limit_amount", "used"])
      .executeTakeFirst();
    if (!changed) throw new GatewayError("conflict", { param: "amount", message: "So much is not left to be taken back." });
    const row = { ...purchase, balance_after: changed.limit_amount - changed.used };
    await books.insertInto("quota_transactions").values(row).execute();
    return row;
  });
}
