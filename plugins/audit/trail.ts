import type { Database } from "headgate";
import { type SqlBool, sql } from "kysely";
import { breakOf, detailsHash, type Entry, type Head, type Link, link, START } from "./chain.ts";
import { type ShownEntry, shownEntry } from "./shapes.ts";
import type { AuditTables, DetailsRow } from "./tables.ts";

/** Rows that a verification reads at a time. */
const PAGE = 1_000;

export interface Verdict {
  readonly ok: boolean;
  readonly rows: number;
  /** Rows whose details were erased. */
  readonly erased: number;
  /** The first thing that is wrong. */
  readonly broken?: string;
  /** Digest of the last good row. Kept elsewhere, it proves later that nothing before it was rewritten. */
  readonly head: string;
}

/** The chain in its tables. */
export class Trail {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Adds entries in their order, those that are there already left out. One writer at a time, over all instances. */
  append(entries: readonly Entry[]): Promise<void> {
    return this.#db.transaction<AuditTables, void>(async (tables) => {
      // Written to before it is read, so that the row is the lock on either database.
      const locked = await tables
        .updateTable("audit_head")
        .set((eb) => ({ seq: eb("seq", "+", 0) }))
        .returning(["seq", "hash"])
        .executeTakeFirstOrThrow();
      const ids = entries.map(({ id }) => id);
      const known = await tables.selectFrom("audit_log").select("id").where("id", "in", ids).execute();
      const fresh = entries.filter((entry) => !known.some(({ id }) => id === entry.id));
      let head: Head = locked;
      const rows: Link[] = [];
      for (const entry of fresh) {
        const row = link(entry, head);
        rows.push(row);
        head = row;
      }
      if (rows.length === 0) return;
      const details = fresh.map(({ salt, details }, index): DetailsRow => ({ seq: (rows[index] as Link).seq, salt, details }));
      await tables.insertInto("audit_log").values(rows).execute();
      await tables.insertInto("audit_details").values(details).execute();
      await tables.updateTable("audit_head").set({ seq: head.seq, hash: head.hash }).execute();
    });
  }

  /** Walks the whole chain. */
  async verify(signal: AbortSignal): Promise<Verdict> {
    const tables = this.#db.reports<AuditTables>();
    let last: Head = START;
    let erased = 0;
    const broken = (why: string): Verdict => ({ ok: false, rows: last.seq, erased, broken: why, head: last.hash });
    // What is added meanwhile is not missed: the end is read first.
    const end = await tables.selectFrom("audit_head").select(["seq", "hash"]).executeTakeFirst();
    if (!end) return broken("the end of the chain is missing");
    for (;;) {
      signal.throwIfAborted();
      const rows = await tables.selectFrom("audit_log").selectAll().where("seq", ">", last.seq).orderBy("seq").limit(PAGE).execute();
      const upTo = rows.at(-1)?.seq ?? last.seq;
      const beside = await tables.selectFrom("audit_details").selectAll().where("seq", ">", last.seq).where("seq", "<=", upTo).execute();
      const details = new Map(beside.map((row) => [row.seq, row]));
      for (const row of rows) {
        const why = breakOf(row, last);
        if (why) return broken(why);
        const own = details.get(row.seq);
        if (!own) erased += 1;
        else if (detailsHash(own.salt, own.details) !== row.details_hash) return broken(`the details of row ${row.seq} were changed`);
        if (row.seq === end.seq && row.hash !== end.hash) return broken(`row ${row.seq} is not the one that was written last`);
        last = row;
      }
      if (rows.length < PAGE) break;
    }
    if (last.seq < end.seq) return broken(`row ${last.seq + 1} is missing`);
    return { ok: true, rows: last.seq, erased, head: last.hash };
  }

  /** Everything recorded about a user: what they did, and what was done to them. */
  async about(userId: string): Promise<ShownEntry[]> {
    const rows = await this.#of(userId).selectAll("log").select("details").orderBy("log.seq").execute();
    return rows.map(shownEntry);
  }

  /** Removes the details of everything about a user; what stays in the chain are ids that lead to nobody. Resolves to the rows touched. */
  async erase(userId: string): Promise<number> {
    const rows = await this.#of(userId).select("log.seq").where("details", "is not", null).execute();
    let erased = 0;
    for (let from = 0; from < rows.length; from += PAGE) {
      const seqs = rows.slice(from, from + PAGE).map(({ seq }) => seq);
      const tables = this.#db.tables<AuditTables>();
      const { numDeletedRows } = await tables.deleteFrom("audit_details").where("seq", "in", seqs).executeTakeFirst();
      erased += Number(numDeletedRows);
    }
    return erased;
  }

  #of(userId: string) {
    const inside = `%${JSON.stringify(userId).replace(/[%_!]/g, "!$&")}%`;
    const holds = (column: "target" | "details") => sql<SqlBool>`${sql.ref(column)} like ${inside} escape '!'`;
    return this.#db
      .reports<AuditTables>()
      .selectFrom("audit_log as log")
      .leftJoin("audit_details as beside", "beside.seq", "log.seq")
      .where(({ eb, or }) => or([eb("actor_user", "=", userId), holds("target"), holds("details")]));
  }
}
