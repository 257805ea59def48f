import type { Clock, Database } from "headgate";
import { sql, type Transaction } from "kysely";
import { ATTEMPT, type Column, EXCHANGE } from "./columns.ts";
import { ensureMonths } from "./partitions.ts";
import { readLines } from "./record.ts";
import { cells, DAY_KEY, DAY_SUMS, type Tables } from "./tables.ts";

const DAY_MS = 86_400_000;

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
  async deliver(lines: readonly string[]): Promise<void> {
    const { ended, open } = readLines(lines, this.#run, this.#open);
    if (ended.length > 0) {
      await ensureMonths(this.#db, this.#clock.now().getTime());
      await this.#db.transaction<Tables, void>((tables) => this.#write(tables, `[${ended.join(",")}]`));
    }
    this.#open = open;
  }

  async #write(tables: Transaction<Tables>, json: string): Promise<void> {
    const { dialect } = this.#db;
    const sqlite = dialect === "sqlite";
    const calls = sqlite ? sql`json_each(${json}) as r` : sql`jsonb_array_elements(${json}::jsonb) as r(value)`;
    const tries = sqlite ? sql`json_each(r.value -> 1) as a` : sql`lateral jsonb_array_elements(r.value -> 1) as a(value)`;
    // "where true" keeps SQLite from reading "on conflict" as part of a join.
    const written = await sql<{ id: string }>`
      insert into usage_exchanges (${names(EXCHANGE)})
      select ${cells(dialect, EXCHANGE as readonly Column<never>[], "(r.value -> 0)")} from ${calls} where true
      on conflict (id, created_at) do nothing returning id`.execute(tables);
    await sql`
      insert into usage_attempts (${names(ATTEMPT)})
      select ${cells(dialect, ATTEMPT as readonly Column<never>[], "a.value")} from ${calls}, ${tries} where true
      on conflict (id, created_at) do nothing`.execute(tables);
    if (written.rows.length === 0) return;
    const ids = JSON.stringify(written.rows.map(({ id }) => id));
    const among = sqlite ? sql`select value from json_each(${ids})` : sql`select value from jsonb_array_elements_text(${ids}::jsonb)`;
    await sql`
      insert into usage_days (${sql.join([...DAY_KEY, ...DAY_SUMS].map((name) => sql.ref(name)))})
      select (created_at / ${sql.lit(DAY_MS)}) * ${sql.lit(DAY_MS)}, coalesce(user_id, ''), coalesce(key_id, ''), coalesce(team, ''), coalesce(provider, ''),
        coalesce(model, requested_model), count(*), sum(case when status >= 400 or outcome in ('cut', 'unknown') then 1 else 0 end), coalesce(sum(cached), 0),
        sum(case when attempts > 1 then 1 else 0 end), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cached_tokens), 0), coalesce(sum(reasoning_tokens), 0),
        coalesce(sum(cost), 0), coalesce(sum(coalesce(list_cost, cost)), 0), sum(case when cost is null then 1 else 0 end), coalesce(sum(total_ms), 0)
      from usage_exchanges where id in (${among})
      group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
      on conflict (${sql.join(DAY_KEY.map((name) => sql.ref(name)))}) do update set
        ${sql.join(DAY_SUMS.map((name) => sql`${sql.ref(name)} = usage_days.${sql.ref(name)} + excluded.${sql.ref(name)}`))}`.execute(
      tables,
    );
  }
}

function names(columns: readonly { readonly name: string }[]) {
  return sql.join(columns.map(({ name }) => sql.ref(name)));
}
