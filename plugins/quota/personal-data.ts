import type { Database, PersonalData } from "headgate";
import type { Tables } from "./tables.ts";

/** A user's limits, balances and purchases. Purchases stay as book-keeping, without saying whose they are. */
export function personalData(db: Database): PersonalData {
  return {
    async export(userId) {
      const tables = db.tables<Tables>();
      const ofUser = <Query extends { where(column: "subject", operator: "=", value: string): Query }>(query: Query) =>
        query.where("subject", "=", userId);
      return {
        quotas: await ofUser(tables.selectFrom("quota_accounts").selectAll().where("kind", "=", "user")).execute(),
        limits: await ofUser(tables.selectFrom("quota_overrides").selectAll().where("kind", "=", "user")).execute(),
        purchases: await ofUser(tables.selectFrom("quota_transactions").selectAll().where("kind", "=", "user")).execute(),
      };
    },
    async erase(userId) {
      return db.transaction<Tables, number>(async (books) => {
        // An account with a slice out is still being settled; it says nothing but an id that leads nowhere any more.
        const accounts = await books
          .deleteFrom("quota_accounts")
          .where("kind", "=", "user")
          .where("subject", "=", userId)
          .where("held", "=", 0)
          .executeTakeFirst();
        const overrides = await books
          .deleteFrom("quota_overrides")
          .where("kind", "=", "user")
          .where("subject", "=", userId)
          .executeTakeFirst();
        const purchases = await books
          .updateTable("quota_transactions")
          .set({ subject: "erased", note: null })
          .where("kind", "=", "user")
          .where("subject", "=", userId)
          .executeTakeFirst();
        return Number(accounts.numDeletedRows + overrides.numDeletedRows + purchases.numUpdatedRows);
      });
    },
  };
}
