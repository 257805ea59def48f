/**
 * How long the usage reports take on a million calls: `node --conditions=headgate-source test/bench/usage-rows.ts [rows]`. SQLite in a file, and
 * PostgreSQL where there is one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "headgate";
import { FakeLogger } from "headgate/testing";
import { createDatabase } from "../../core/services/database/open.ts";
import { sketch } from "../../plugins/usage/record.ts";
import { DIMENSIONS, report } from "../../plugins/usage/reports.ts";
import { Store } from "../../plugins/usage/store.ts";
import { migrations } from "../../plugins/usage/tables.ts";
import { hasPostgres, startPostgres } from "../support/postgres.ts";

const ROWS = Number(process.argv[2] ?? 1_000_000);
const BATCH = 2_000;
const DAYS = 30;
const USERS = 500;
const MODELS = 6;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 31);

function line(at: number): string {
  const cells = sketch({
    id: `req_${at}`,
    created_at: NOW - (Math.floor(at / (USERS * MODELS)) % DAYS) * DAY_MS,
    user_id: `usr_${at % USERS}`,
    key_id: `key_${at % USERS}`,
    team: `team_${at % 20}`,
    provider: "openai",
    requested_model: "fast",
    model: `model_${Math.floor(at / USERS) % MODELS}`,
    input_tokens: 500,
    output_tokens: 100,
    cached_tokens: 0,
    reasoning_tokens: 0,
    cached: 0,
    attempts: 1,
    status: 200,
    outcome: "complete",
    cost: 1_000_000,
    list_cost: 2_000_000,
    total_ms: 900,
  });
  return `e\trun_bench\treq_${at}\t${JSON.stringify([cells, []])}`;
}

async function measure(name: string, url: string): Promise<void> {
  const database = createDatabase({ url, data: "", random: { next: Math.random }, logger: new FakeLogger() });
  await database.migrate(migrations);
  const store = new Store(database as Database, { now: () => new Date(NOW) } as never, "run_bench");
  const began = performance.now();
  for (let from = 0; from < ROWS; from += BATCH) {
    await store.deliver(Array.from({ length: Math.min(BATCH, ROWS - from) }, (_, at) => line(from + at)));
  }
  const seconds = (performance.now() - began) / 1_000;
  console.log(`${name}: ${ROWS} rows delivered in ${seconds.toFixed(1)} s`);
  for (const dimension of DIMENSIONS) {
    const asked = performance.now();
    const lines = await report(database, dimension, { since: 0, until: NOW });
    console.log(`${name}: by ${dimension}, ${lines.length} lines: ${(performance.now() - asked).toFixed(0)} ms`);
  }
  await database.close();
}

const folder = mkdtempSync(join(tmpdir(), "headgate-bench-"));
await measure("SQLite", `sqlite:${join(folder, "usage.db")}`);
rmSync(folder, { recursive: true, force: true });
if (hasPostgres) {
  const server = await startPostgres();
  await measure("PostgreSQL", await server.database("usage_rows"));
  await server.stop();
}
