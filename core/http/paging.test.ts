import { expect, it } from "vitest";
import { eachDatabase } from "../../test/support/databases.ts";
import { GatewayError } from "../errors.ts";
import type { Migrations } from "../services/database.ts";
import { checked } from "./input.ts";
import { type KeysetOrder, page, pageQuery } from "./paging.ts";

interface Tables {
  things: { id: string; created_at: number; colour: string };
}

const migrations: Migrations = {
  things_001: async (db) => {
    const bigint = "bigint";
    await db.schema
      .createTable("things")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("created_at", bigint, (column) => column.notNull())
      .addColumn("colour", "text", (column) => column.notNull())
      .execute();
  },
};

const read = (query: object, order?: KeysetOrder) => checked(pageQuery(order), query, "query parameter") as never;

eachDatabase("pages", (open) => {
  const filled = async (count: number) => {
    const db = (await open(migrations)).tables<Tables>();
    // Three of each moment, so that the id has to decide.
    const rows = Array.from({ length: count }, (_, index) => ({
      id: `t_${String(index).padStart(3, "0")}`,
      created_at: 1_700_000_000_000 + Math.floor(index / 3),
      colour: index % 2 ? "red" : "blue",
    }));
    await db.insertInto("things").values(rows).execute();
    return { db, newestFirst: rows.map(({ id }) => id).toReversed() };
  };

  it("show every row once, newest first, whatever the size of the page", async () => {
    const { db, newestFirst } = await filled(20);
    for (const limit of [1, 2, 7, 20, 200]) {
      const ids: string[] = [];
      for (let cursor: string | null = ""; cursor !== null; ) {
        const found: Awaited<ReturnType<typeof page<{ id: string }, string>>> = await page(
          db.selectFrom("things").selectAll(),
          read({ limit: String(limit), ...(cursor && { cursor }) }),
          ({ id }) => id,
        );
        expect(found.data.length).toBeLessThanOrEqual(limit);
        ids.push(...found.data);
        cursor = found.next_cursor;
      }
      expect(ids).toEqual(newestFirst);
    }
  });

  it("skip and repeat nothing when rows come and go between them", async () => {
    const { db, newestFirst } = await filled(9);
    const select = () => db.selectFrom("things").selectAll();
    const first = await page(select(), read({ limit: "4" }), ({ id }) => id);
    await db.insertInto("things").values({ id: "t_new", created_at: 1_800_000_000_000, colour: "red" }).execute();
    await db
      .deleteFrom("things")
      .where("id", "=", newestFirst[1] as string)
      .execute();
    const second = await page(select(), read({ limit: "200", cursor: first.next_cursor }), ({ id }) => id);
    expect([...first.data, ...second.data]).toEqual(newestFirst);
    expect(second.next_cursor).toBeNull();
  });

  it("keep to the filter of their query, and to another order", async () => {
    const { db } = await filled(9);
    const order = { id: "text" } as const;
    const select = db.selectFrom("things").selectAll().where("colour", "=", "red");
    const first = await page(select, read({ limit: "2" }, order), ({ id }) => id, order);
    const second = await page(select, read({ limit: "2", cursor: first.next_cursor }, order), ({ id }) => id, order);
    expect([first.data, second.data]).toEqual([
      ["t_007", "t_005"],
      ["t_003", "t_001"],
    ]);
  });
});

const cursor = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

it.each([
  ["no base64", "%%%"],
  ["no JSON", "abcd"],
  ["another list's", cursor(["t_1"])],
  ["of the wrong kind", cursor(["1", "t_1"])],
  ["no whole number", cursor([1.5, "t_1"])],
  ["with a NUL", cursor([1, "t\u0000"])],
  ["an object", cursor({ 0: 1, 1: "t", length: 2 })],
  ["too long", "a".repeat(501)],
  ["SQL", cursor([1, { toString: "1" }])],
])("a cursor that is %s is refused, naming it", (_, text) => {
  let thrown: unknown;
  try {
    read({ cursor: text });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(GatewayError);
  expect(thrown).toMatchObject({ code: "invalid_request", param: "cursor" });
  expect((thrown as Error).message).toContain("has to be the next_cursor of a page");
});
