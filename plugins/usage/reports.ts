import type { Database } from "headgate";
import { DAY_SUMS, type Tables } from "./tables.ts";

export const DIMENSIONS = ["model", "provider", "user", "key", "team", "day"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

const COLUMNS = { model: "model", provider: "provider", user: "user_id", key: "key_id", team: "team", day: "day" } as const;
const NANO = 1_000_000_000;
/** Most lines of a report; the dearest come first. */
const MOST = 10_000;

/** Days are inclusive, in epoch ms at midnight UTC. */
export interface Range {
  readonly since: number;
  readonly until: number;
  readonly user?: string | undefined;
}

/** One line of a report. Costs in dollars; `avg_ms` and rates are null where nothing was counted. */
export interface Line {
  readonly name: string;
  readonly requests: number;
  readonly errors: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cached_tokens: number;
  readonly cache_write_tokens: number;
  readonly reasoning_tokens: number;
  readonly cost: number;
  readonly list_cost: number;
  readonly savings: number;
  readonly unpriced: number;
  readonly avg_ms: number | null;
  readonly cache_hit_rate: number | null;
  readonly efficiency: number | null;
}

type Sums = Readonly<Record<(typeof DAY_SUMS)[number], number | string | null>>;

/** Sums by a dimension, from the daily sums, the dearest first (days in their order). */
export async function report(db: Database, dimension: Dimension, range: Range): Promise<Line[]> {
  const column = COLUMNS[dimension];
  const rows = await sums(db, range)
    .select(`${column} as name`)
    .groupBy(column)
    .orderBy(dimension === "day" ? "day" : "cost", dimension === "day" ? "asc" : "desc")
    .limit(MOST)
    .execute();
  return rows.map((row) => {
    const name = dimension === "day" ? new Date(Number(row.name)).toISOString().slice(0, 10) : String(row.name) || "none";
    return { name, ...lineOf(row) };
  });
}

/** Everything in one line. */
export async function totals(db: Database, range: Range): Promise<Omit<Line, "name">> {
  return lineOf(await sums(db, range).executeTakeFirstOrThrow());
}

function sums(db: Database, { since, until, user }: Range) {
  const query = db
    .reports<Tables>()
    .selectFrom("usage_days")
    .where("day", ">=", since)
    .where("day", "<=", until)
    .select(({ fn }) => DAY_SUMS.map((name) => fn.sum<number | string | null>(name).as(name)));
  return user === undefined ? query : query.where("user_id", "=", user);
}

function lineOf(row: Sums): Omit<Line, "name"> {
  // PostgreSQL sums whole numbers into a numeric, which comes as text; the sum of nothing is null.
  const of = (key: keyof Sums) => Number(row[key]);
  const requests = of("requests");
  const [cost, list] = [of("cost"), of("list_cost")];
  const rate = (value: number) => (requests === 0 ? null : round(value / requests, 4));
  return {
    requests,
    errors: of("errors"),
    input_tokens: of("input_tokens"),
    output_tokens: of("output_tokens"),
    cached_tokens: of("cached_tokens"),
    cache_write_tokens: of("cache_write_tokens"),
    reasoning_tokens: of("reasoning_tokens"),
    cost: round(cost / NANO, 9),
    list_cost: round(list / NANO, 9),
    savings: round((list - cost) / NANO, 9),
    unpriced: of("unpriced"),
    avg_ms: requests === 0 ? null : Math.round(of("total_ms") / requests),
    cache_hit_rate: rate(of("cached")),
    efficiency: efficiency(requests, of("errors"), cost, list),
  };
}

/**
 * 0 to 100: the share of calls that succeeded, times the part of the list price that did not have to be paid, counted
 * from one half. Everything well at the list price is 50; everything well for nothing is 100.
 */
function efficiency(requests: number, errors: number, cost: number, list: number): number | null {
  if (requests === 0) return null;
  const saved = list > 0 ? Math.max(-1, Math.min(1, (list - cost) / list)) : 0;
  return Math.round(((requests - errors) / requests) * (50 + 50 * saved));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Lines as CSV (RFC 4180). A cell that a spreadsheet would take for a formula gets an apostrophe in front. */
export function* csv(lines: readonly Line[]): Generator<string> {
  const names = Object.keys(lines[0] ?? { name: "" });
  yield `${names.join(",")}\r\n`;
  for (const line of lines) yield `${names.map((name) => cell(line[name as keyof Line])).join(",")}\r\n`;
}

function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
