import { createHash } from "node:crypto";
import type { Database, Ids } from "headgate";
import type { ErasureRow, Tables } from "./tables.ts";

/** The table `erasures`: proofs that what was kept about a user is gone. Times are epoch ms. */
export class Erasures {
  readonly #database: Database;
  readonly #ids: Ids;

  constructor(database: Database, ids: Ids) {
    this.#database = database;
    this.#ids = ids;
  }

  /** Written before anything is erased, so that none goes without; one that was not finished is gone on with. */
  async begin(userId: string, by: string, now: number): Promise<{ readonly id: string; readonly isNew: boolean }> {
    const user_hash = createHash("sha256").update(userId).digest("hex");
    const begun = await this.#tables()
      .selectFrom("erasures")
      .select("id")
      .where("user_hash", "=", user_hash)
      .where("finished_at", "is", null)
      .executeTakeFirst();
    if (begun) return { id: begun.id, isNew: false };
    const row = { id: this.#ids.next("era"), user_hash, counts: "{}", erased_by: by, created_at: now, finished_at: null };
    await this.#tables().insertInto("erasures").values(row).execute();
    return { id: row.id, isNew: true };
  }

  finish(id: string, counts: Readonly<Record<string, number>>, now: number): Promise<ErasureRow> {
    return this.#tables()
      .updateTable("erasures")
      .set({ counts: JSON.stringify(counts), finished_at: now })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
  }

  /** For one that was begun where there was nothing to erase. */
  async drop(id: string): Promise<void> {
    await this.#tables().deleteFrom("erasures").where("id", "=", id).execute();
  }

  listed() {
    return this.#tables().selectFrom("erasures").selectAll();
  }

  #tables() {
    return this.#database.tables<Tables>();
  }
}
