/**
 * What the usage plugin's routes take on a million calls in 90 days, of 500 users with five of 20 models each, on SQLite in a file and on
 * PostgreSQL (a server of its own, or the empty database that `BENCH_DATABASE_URL` names): `npm run bench:usage [rows]`.
 * Ends with 1 when one takes a second or longer.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { ApiRequest, Database } from "headgate";
import { FakeLogger } from "headgate/testing";
import { type CompiledQuery, type RawBuilder, sql } from "kysely";
import pg from "pg";
import { createDatabase } from "../../core/services/database/open.ts";
import { ensureMonths } from "../../plugins/usage/partitions.ts";
import { DIMENSIONS } from "../../plugins/usage/reports.ts";
import { usageRoutes } from "../../plugins/usage/routes.ts";
import { migrations, type Tables } from "../../plugins/usage/tables.ts";
import { hasPostgres, startPostgres } from "../support/postgres.ts";

const ROWS = Number(process.argv[2] ?? 1_000_000);
const BATCH = 50_000;
const USERS = 500;
const MODELS = 20;
const MODELS_OF_A_USER = 5;
const DAYS = 90;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 31, 12);
const SINCE = new Date(NOW - DAYS * DAY_MS).toISOString();
const LIMIT_MS = 1_000;
/** The best counts: what else the machine does only adds. */
const ROUNDS = 5;

const QUERIES: readonly (readonly [path: string, query: Readonly<Record<string, string>>])[] = [
  ...DIMENSIONS.map((by) => ["/api/usage/report", { by, since: SINCE }] as const),
  ["/api/usage/report", { by: "model" }],
  ["/api/usage/report", { by: "day", since: SINCE, user: "usr_7" }],
  ["/api/usage/totals", { since: SINCE }],
  ["/api/me/usage", { by: "model", since: SINCE }],
  ["/api/usage", {}],
  ["/api/usage", { user: "usr_7" }],
  ["/api/usage", { key: "key_7" }],
  ["/api/usage", { team: "team_7" }],
  ["/api/usage", { model: "model_7" }],
  ["/api/usage", { model: "model_that_is_not" }],
  ["/api/usage", { provider: "provider_1" }],
  ["/api/usage", { status: "418" }],
  ["/api/usage", { user: "usr_7", model: "model_7", since: SINCE }],
  ["/api/usage", { team: "team_7", status: "500" }],
];

/** Rows `from` to `to`, evenly in time; users are mixed by multiplication with a prime. */
function calls(from: number, to: number): RawBuilder<unknown> {
  return sql`
    with recursive n(i) as (select cast(${from} as bigint) union all select i + 1 from n where i < ${to - 1}),
      spread as (select i, (i * 7919) % ${sql.lit(USERS)} as u, ((i * 7919) % ${sql.lit(USERS)} + 3 * ((i / ${sql.lit(USERS)}) % ${sql.lit(MODELS_OF_A_USER)})) % ${sql.lit(MODELS)} as m,
        (i * ${sql.lit(DAYS * DAY_MS)}) / ${sql.lit(ROWS)} as later, case when i % 50 = 0 then 500 else 200 end as status from n)
    insert into usage_exchanges (id, created_at, user_id, key_id, team, "plan", dialect, operation, requested_model, provider, model, input_tokens,
      output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, estimated, cost, list_cost, streamed, cached, attempts, status, outcome, total_ms)
    select 'req_' || i, ${NOW - DAYS * DAY_MS} + later, 'usr_' || u, 'key_' || u, 'team_' || (u % 20), 'basic', 'openai-chat', 'chat', 'fast', 'provider_' || (m % 3),
      'model_' || m, 500, 100, 0, 0, 0, 0, 1000000, 2000000, 1, 0, 1, status, case when status = 200 then 'complete' else 'failed' end, 900
    from spread`;
}

/** The sums of one day's rows, as deliveries would have made them. */
function sums(day: number): RawBuilder<unknown> {
  return sql`
    insert into usage_days (day, user_id, key_id, team, provider, model, requests, errors, cached, retried, input_tokens, output_tokens, cached_tokens,
      cache_write_tokens, reasoning_tokens, cost, list_cost, unpriced, total_ms)
    select cast(${day} as bigint), user_id, key_id, team, provider, model, count(*), sum(case when status >= 400 then 1 else 0 end), 0, 0,
      sum(input_tokens), sum(output_tokens), 0, 0, 0, sum(cost), sum(list_cost), 0, sum(total_ms)
    from usage_exchanges where created_at >= ${day} and created_at < ${day + DAY_MS} group by user_id, key_id, team, provider, model`;
}

/** Runs statements without a deadline, on a connection of its own. */
interface Filler {
  run(statement: CompiledQuery): Promise<unknown>;
  close(): Promise<void>;
}

async function fillerOf(url: string): Promise<Filler> {
  const path = /^sqlite:(.+)$/.exec(url)?.[1];
  if (path) {
    const file = new DatabaseSync(path);
    file.exec("pragma synchronous = off; pragma cache_size = -500000");
    return {
      run: async ({ sql: text, parameters }) => file.prepare(text).run(...(parameters as SQLInputValue[])),
      close: async () => file.close(),
    };
  }
  const client = new pg.Client(url);
  await client.connect();
  return { run: ({ sql: text, parameters }) => client.query(text, [...parameters]), close: () => client.end() };
}

async function fill(db: Database, filler: Filler): Promise<void> {
  const compiler = db.tables<Tables>();
  for (let month = 0; month <= 3; month++) await ensureMonths(db, NOW - month * 30 * DAY_MS);
  for (let from = 0; from < ROWS; from += BATCH) await filler.run(calls(from, Math.min(from + BATCH, ROWS)).compile(compiler));
  const today = Math.floor(NOW / DAY_MS) * DAY_MS;
  for (let ago = 0; ago <= DAYS; ago++) await filler.run(sums(today - ago * DAY_MS).compile(compiler));
  // PostgreSQL does this by itself in time; SQLite never does.
  if (db.dialect === "postgres") await filler.run(sql`analyze`.compile(compiler));
  await filler.close();
}

/** The best and the worst of a few goes, in ms, as the control plane would call the route. */
async function measure(
  db: Database,
  path: string,
  query: Readonly<Record<string, string>>,
): Promise<readonly [best: number, worst: number]> {
  const route = usageRoutes({ db, clock: { now: () => new Date(NOW) } as never }).find((each) => each.path === path);
  if (!route) throw new Error(`there is no route ${path}`);
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const asked = performance.now();
    const { body } = await route.handle({ query: route.query?.parse(query), caller: { user: "usr_7" } } as unknown as ApiRequest);
    JSON.stringify(body);
    took.push(performance.now() - asked);
  }
  return [Math.min(...took), Math.max(...took)];
}

async function bench(name: string, url: string): Promise<void> {
  const database = createDatabase({ url, data: "", random: { next: Math.random }, logger: new FakeLogger() });
  await database.migrate(migrations);
  const began = performance.now();
  await fill(database, await fillerOf(url));
  const { rows } = await sql<{ count: number }>`select count(*) as count from usage_days`.execute(database.reports<Tables>());
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  console.log(`\n${name}: ${ROWS} calls in ${rows[0]?.count} sums, made in ${seconds} s`);
  for (const [path, query] of QUERIES) {
    const [best, worst] = await measure(database, path, query);
    if (best >= LIMIT_MS) process.exitCode = 1;
    const text = new URLSearchParams(query).toString().replace(`since=${encodeURIComponent(SINCE)}`, `since=90+days`);
    const late = best >= LIMIT_MS ? "  <- too long" : "";
    console.log(`${best.toFixed(0).padStart(6)} to ${worst.toFixed(0).padStart(5)} ms  ${path}${text && `?${text}`}${late}`);
  }
  await database.close();
}

const folder = mkdtempSync(join(tmpdir(), "headgate-bench-"));
await bench("SQLite", `sqlite:${join(folder, "usage.db")}`);
rmSync(folder, { recursive: true, force: true });
if (process.env.BENCH_DATABASE_URL) await bench("PostgreSQL", process.env.BENCH_DATABASE_URL);
else if (hasPostgres) {
  const server = await startPostgres();
  await bench("PostgreSQL", await server.database("usage_rows"));
  await server.stop();
}
