import type { Database } from "headgate";
import { sql } from "kysely";
import { expect, it } from "vitest";
import { eachDatabase } from "../../test/support/databases.ts";
import { ensureMonths, removeBefore } from "./partitions.ts";
import { migrations, type Tables } from "./tables.ts";

const JANUARY = Date.UTC(2026, 0, 15);
const FEBRUARY = Date.UTC(2026, 1, 15);
const MARCH = Date.UTC(2026, 2, 15);

/** One call at each moment, each with one try. */
async function insert(db: Database, ...moments: readonly number[]): Promise<void> {
  for (const created_at of moments) {
    const id = `req_${created_at}`;
    const tables = db.tables<Tables>();
    await tables
      .insertInto("usage_exchanges")
      .values({ id, created_at, requested_model: "fast", status: 200 } as never)
      .execute();
    await tables
      .insertInto("usage_attempts")
      .values({ id: `att_${created_at}`, created_at, exchange_id: id })
      .execute();
    await tables.insertInto("usage_contents").values({ id, created_at, prompt: "sealed", answer: null }).execute();
  }
}

async function moments(db: Database, table: "usage_exchanges" | "usage_attempts" | "usage_contents"): Promise<number[]> {
  const rows = await db.tables<Tables>().selectFrom(table).select("created_at").orderBy("created_at").execute();
  return rows.map(({ created_at }) => created_at);
}

eachDatabase("old calls", (open, dialect) => {
  it("are removed with their tries and texts, also in the middle of a month, and again is the same", async () => {
    const db = await open(migrations);
    for (const month of [JANUARY, FEBRUARY, MARCH]) await ensureMonths(db, month);
    await insert(db, JANUARY, FEBRUARY, FEBRUARY + 1, MARCH);
    expect(await removeBefore(db, FEBRUARY + 1)).toBeGreaterThan(0);
    for (const table of ["usage_exchanges", "usage_attempts", "usage_contents"] as const) {
      expect(await moments(db, table), table).toEqual([FEBRUARY + 1, MARCH]);
    }
    expect(await removeBefore(db, FEBRUARY + 1)).toBe(0);
  });

  it("are removed in as many goes as it takes", async () => {
    const db = await open(migrations);
    await sql`with recursive n(i) as (select cast(1 as bigint) union all select i + 1 from n where i < 12000)
      insert into usage_exchanges (id, created_at) select 'req_' || i, i from n`.execute(db.tables<Tables>());
    await insert(db, MARCH);
    expect(await removeBefore(db, 12_000)).toBe(11_999);
    expect(await moments(db, "usage_exchanges")).toEqual([12_000, MARCH]);
  });

  if (dialect !== "postgres") return;

  const partitions = async (db: Database) => {
    const { rows } = await sql<{ created_at: number; part: string }>`
      select created_at, tableoid::regclass::text as part from usage_exchanges order by created_at`.execute(db.tables<Tables>());
    return rows.map(({ part }) => part);
  };
  const months = async (db: Database) => {
    const { rows } = await sql<{ name: string }>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = 'usage_exchanges'::regclass order by 1`.execute(
      db.tables<Tables>(),
    );
    return rows.map(({ name }) => name);
  };

  it("lie in a partition for each month, which goes as a whole", async () => {
    const db = await open(migrations);
    await ensureMonths(db, Date.UTC(2025, 11, 31));
    await ensureMonths(db, FEBRUARY);
    await insert(db, JANUARY, FEBRUARY, MARCH);
    expect(await partitions(db)).toEqual(["usage_exchanges_2026_01", "usage_exchanges_2026_02", "usage_exchanges_2026_03"]);
    // December and January, of calls and of tries.
    expect(await removeBefore(db, Date.UTC(2026, 1, 1))).toBe(4 + 1);
    expect(await months(db)).toEqual(["usage_exchanges_2026_02", "usage_exchanges_2026_03", "usage_exchanges_other"]);
  });

  it("may have months made for them by several instances at once", async () => {
    const db = await open(migrations);
    const others = await Promise.all([db.again(), db.again(), db.again()]);
    // One that loses the race fails, and its delivery is tried again.
    const tried = () => Promise.allSettled([db, ...others].map((each) => ensureMonths(each, JANUARY)));
    await tried();
    expect((await tried()).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "fulfilled"]);
    expect(await months(db)).toEqual(["usage_exchanges_2026_01", "usage_exchanges_2026_02", "usage_exchanges_other"]);
  });

  it("of a month that nobody expected lie with the others, stay readable, and are removed one by one", async () => {
    const db = await open(migrations);
    await insert(db, MARCH);
    expect(await partitions(db)).toEqual(["usage_exchanges_other"]);
    await ensureMonths(db, MARCH);
    await insert(db, MARCH + 1);
    expect(await moments(db, "usage_exchanges")).toEqual([MARCH, MARCH + 1]);
    await removeBefore(db, MARCH + 1);
    expect(await moments(db, "usage_exchanges")).toEqual([MARCH + 1]);
  });
});
