import { type Clock, type Database, insertNew } from "headgate";
import { type RawBuilder, sql } from "kysely";
import { ATTEMPT, EXCHANGE } from "./columns.ts";
import { ensureMonths } from "./partitions.ts";
import { type Reading, readLines } from "./record.ts";
import { addToDay, CONTENT, DAY_KEY, DAY_SUMS, list, type Tables } from "./tables.ts";

const DAY_MS = 86_400_000;
const CALLS = { name: "usage_exchanges", columns: EXCHANGE, key: ["id", "created_at"] } as const;
const TRIES = { name: "usage_attempts", columns: ATTEMPT, key: ["id", "created_at"] } as const;
const CONTENTS = { name: "usage_contents", columns: CONTENT, key: ["id"] } as const;

/** Writes what the spool delivers: each row once, and the day's sums from just the rows that were new. */
export class Store {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #run: string;
  /** Calls that earlier runs have begun and not ended. */
  #open: ReadonlyMap<string, string> = new Map();

  constructor(db: Database, clock: Clock, run: string) {
    this.#db = db;
    this.#clock = clock;
    this.#run = run;
  }

  /** Rejects when the lines have to be offered again. */
  deliver(lines: readonly string[]): Promise<void> {
    // The lines are not kept while the database works: there are many, and it takes its time.
    return this.#write(readLines(lines, this.#run, this.#open));
  }

  async #write({ calls, tries, contents, open }: Reading): Promise<void> {
    if (calls !== "") {
      await ensureMonths(this.#db, this.#clock.now().getTime());
      await this.#db.transaction<Tables, void>(async (tables) => {
        await insertNew(this.#db, tables, CALLS, calls, addToDays);
        if (tries !== "") await insertNew(this.#db, tables, TRIES, tries);
        if (contents !== "") await insertNew(this.#db, tables, CONTENTS, contents);
      });
    }
    this.#open = open;
  }
}

function addToDays(fresh: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    insert into usage_days (${list([...DAY_KEY, ...DAY_SUMS])})
    select (created_at / ${sql.lit(DAY_MS)}) * ${sql.lit(DAY_MS)}, coalesce(user_id, ''), coalesce(key_id, ''), coalesce(team, ''), coalesce(provider, ''),
      coalesce(model, requested_model), count(*), sum(case when status >= 400 or outcome in ('cut', 'unknown') then 1 else 0 end), coalesce(sum(cached), 0),
      coalesce(sum(retried), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cached_tokens), 0),
      coalesce(sum(cache_write_tokens), 0), coalesce(sum(reasoning_tokens), 0),
      coalesce(sum(cost), 0), coalesce(sum(coalesce(list_cost, cost)), 0), sum(case when cost is null then 1 else 0 end), coalesce(sum(total_ms), 0)
    from ${fresh}
    group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6 ${addToDay}`;
}
