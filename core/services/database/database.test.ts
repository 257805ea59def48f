import type { Migrations } from "headgate";
import { expect, it, vi } from "vitest";
import { eachDatabase } from "../../../test/support/databases.ts";

interface Tables {
  accounts: { id: string; balance: number };
}

const migrations: Migrations = {
  "test/0001-accounts": async (db) => {
    await db.schema
      .createTable("accounts")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("balance", "bigint", (column) => column.notNull())
      .execute();
  },
};

eachDatabase("the database", (open) => {
  it("keeps rows, and gives whole numbers back as numbers", async () => {
    const database = await open(migrations);
    const db = database.tables<Tables>();
    await db.insertInto("accounts").values({ id: "a", balance: Number.MAX_SAFE_INTEGER }).execute();
    expect(await db.selectFrom("accounts").selectAll().execute()).toEqual([{ id: "a", balance: Number.MAX_SAFE_INTEGER }]);
    const changed = await db.updateTable("accounts").set({ balance: 7 }).where("id", "=", "a").executeTakeFirst();
    expect(changed.numUpdatedRows).toBe(1n);
    const { total } = await database
      .reports<Tables>()
      .selectFrom("accounts")
      .select((eb) => eb.fn.sum<number>("balance").as("total"))
      .executeTakeFirstOrThrow();
    expect(total).toBe(7);
  });

  it("does all of a transaction or nothing of it", async () => {
    const database = await open(migrations);
    const broken = database.transaction<Tables, void>(async (db) => {
      await db.insertInto("accounts").values({ id: "a", balance: 1 }).execute();
      throw new Error("changed my mind");
    });
    await expect(broken).rejects.toThrow("changed my mind");
    expect(await database.tables<Tables>().selectFrom("accounts").selectAll().execute()).toEqual([]);
  });

  it("tells listeners, of this instance and of others", async () => {
    const database = await open(migrations);
    const other = await database.again();
    const heard: (string | null)[] = [];
    other.subscribe("keys", (message) => heard.push(message));
    await vi.waitFor(async () => {
      await database.publish("keys", "revoked");
      expect(heard).toContain("revoked");
    });
  });
});
