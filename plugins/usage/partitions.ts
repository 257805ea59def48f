import type { Database } from "headgate";
import { sql } from "kysely";
import type { Tables } from "./tables.ts";

const TABLES = ["usage_exchanges", "usage_attempts"] as const;
const DAY_MS = 86_400_000;
/** Rows deleted in one go, so that nothing else waits long for it. */
const BATCH = 5_000;
const CHECK_VIOLATION = "23514";

const ensured = new WeakMap<Database, Set<string>>();

/** On PostgreSQL each month has its own partitions; makes those of the month of `at` (epoch ms) and the next. SQLite has none. */
export async function ensureMonths(db: Database, at: number): Promise<void> {
  if (db.dialect !== "postgres") return;
  const known = ensured.get(db) ?? new Set();
  ensured.set(db, known);
  for (const start of [monthOf(at, 0), monthOf(at, 1)]) {
    const suffix = suffixOf(start);
    if (known.has(suffix)) continue;
    for (const table of TABLES) {
      const part = sql.table(`${table}_${suffix}`);
      await sql`create table if not exists ${part} partition of ${sql.table(table)}
        for values from (${sql.lit(start)}) to (${sql.lit(monthOf(start, 1))})`
        .execute(db.tables<Tables>())
        .catch((error) => {
          // Rows of that month are in the partition for all others already (a clock went wrong); they stay there.
          if (error.code !== CHECK_VIOLATION) throw error;
        });
    }
    known.add(suffix);
  }
}

/** Removes calls older than `before` (epoch ms): whole months at once on PostgreSQL, else row by row. Daily sums stay. Returns rows or months removed. */
export async function removeBefore(db: Database, before: number): Promise<number> {
  const tables = db.tables<Tables>();
  let removed = 0;
  if (db.dialect === "postgres") {
    const { rows } = await sql<{ name: string }>`select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      join pg_class p on p.oid = i.inhparent where p.relname in (${sql.join(TABLES)})`.execute(tables);
    for (const { name } of rows) {
      const month = /_(\d{4})_(\d{2})$/.exec(name);
      if (!month || Date.UTC(Number(month[1]), Number(month[2])) > before) continue;
      await sql`drop table if exists ${sql.table(name)}`.execute(tables);
      removed += 1;
    }
  }
  for (const table of [...TABLES, "usage_contents"] as const) {
    for (let gone = BATCH; gone === BATCH; removed += gone) {
      const old = tables.selectFrom(table).select("id").where("created_at", "<", before).limit(BATCH);
      const result = await tables.deleteFrom(table).where("created_at", "<", before).where("id", "in", old).executeTakeFirst();
      gone = Number(result.numDeletedRows);
    }
  }
  return removed;
}

export function startOfDay(at: number): number {
  return Math.floor(at / DAY_MS) * DAY_MS;
}

function monthOf(at: number, later: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + later);
}

function suffixOf(month: number): string {
  return new Date(month).toISOString().slice(0, 7).replace("-", "_");
}
