import type { Database, PersonalData } from "headgate";
import { sql } from "kysely";
import type { Vault } from "./content.ts";
import { addToDay, DAY_KEY, DAY_SUMS, type DayRow, list, type Tables } from "./tables.ts";

/** Calls exported at most; the newest. */
const MOST = 10_000;
/** Calls erased in one transaction, so that nothing else waits long for it. */
const BATCH = 500;
const NOBODY = { user_id: "erased", key_id: "erased" };

/** A user's calls. Erased, they still count, but for nobody. */
export function personalData(db: Database, vault: Vault | undefined): PersonalData {
  return {
    async export(userId) {
      const tables = db.reports<Tables>();
      const calls = await tables
        .selectFrom("usage_exchanges")
        .selectAll()
        .where("user_id", "=", userId)
        .orderBy("created_at", "desc")
        .limit(MOST)
        .execute();
      const contents = await tables
        .selectFrom("usage_contents")
        .selectAll()
        .where("id", "in", tables.selectFrom("usage_exchanges").select("id").where("user_id", "=", userId))
        .orderBy("created_at", "desc")
        .limit(MOST)
        .execute();
      return {
        usage: calls,
        contents: contents.map(({ id, prompt, answer }) => ({
          id,
          prompt: vault?.open(prompt) ?? null,
          answer: answer === null ? null : (vault?.open(answer) ?? null),
        })),
      };
    },
    async erase(userId) {
      let erased = 0;
      for (let gone = BATCH; gone === BATCH; erased += gone) gone = await eraseCalls(db, userId);
      const days = await db.tables<Tables>().selectFrom("usage_days").select("day").distinct().where("user_id", "=", userId).execute();
      for (const { day } of days) await eraseDay(db, userId, day);
      return erased;
    },
  };
}

/** Some of a user's calls, and their contents; fewer than a batch when there are no more. */
function eraseCalls(db: Database, userId: string): Promise<number> {
  return db.transaction<Tables, number>(async (tables) => {
    const mine = await tables.selectFrom("usage_exchanges").select("id").where("user_id", "=", userId).limit(BATCH).execute();
    if (mine.length === 0) return 0;
    const ids = mine.map(({ id }) => id);
    await tables.deleteFrom("usage_contents").where("id", "in", ids).execute();
    await tables
      .updateTable("usage_exchanges")
      .set({ ...NOBODY, ip: null, user_agent: null, session: null, prompt_hash: null } as never)
      .where("id", "in", ids)
      .execute();
    return ids.length;
  });
}

/** A user's sums of a day go over to nobody's. What is deleted is what is added, whatever is written meanwhile. */
function eraseDay(db: Database, userId: string, day: number): Promise<void> {
  return db.transaction<Tables, void>(async (tables) => {
    const rows = await tables.deleteFrom("usage_days").where("user_id", "=", userId).where("day", "=", day).returningAll().execute();
    for (const row of rows) {
      const values = [...DAY_KEY, ...DAY_SUMS].map((name) => ({ ...row, ...NOBODY })[name as keyof DayRow]);
      await sql`insert into usage_days (${list([...DAY_KEY, ...DAY_SUMS])}) values (${sql.join(values)}) ${addToDay}`.execute(tables);
    }
  });
}
