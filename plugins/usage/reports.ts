import type { Database } from "headgate";
import type { Tables } from "./tables.ts";

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
  readonly reasoning_tokens: number;
  readonly cost: number;
  readonly list_cost: number;
  readonly savings: number;
  readonly unpriced: number;
  readonly avg_ms: number | null;
  readonly cache_hit_rate: number | null;
  readonly efficiency: number | null;
}

type Sums = Omit<Tables["usage_days"], "day" | "user_id" | "key_id" | "team" | "provider" | "model">;

/** Sums by a dimension, from the daily sums, the dearest first (days in their order). */
export async function report(db: Database, dimension: Dimension, { since, until, user }: Range): Promise<Line[]> {
  const column = COLUMNS[dimension];
  let query = db.reports<Tables>().selectFrom("usage_days").where("day", ">=", since).where("day", "<=", until);
  if (user !== undefined) query = query.where("user_id", "=", user);
  const rows = await query
    .select(column)
    .select(({ fn }) => [
      fn.sum<number>("requests").as("requests"),
      fn.sum<number>("errors").as("errors"),
      fn.sum<number>("cached").as("cached"),
      fn.sum<number>("retried").as("retried"),
      fn.sum<number>("input_tokens").as("input_tokens"),
      fn.sum<number>("output_tokens").as("output_tokens"),
      fn.sum<number>("cached_tokens").as("cached_tokens"),
      fn.sum<number>("reasoning_tokens").as("reasoning_tokens"),
      fn.sum<number>("cost").as("cost"),
      fn.sum<number>("list_cost").as("list_cost"),
      fn.sum<number>("unpriced").as("unpriced"),
      fn.sum<number>("total_ms").as("total_ms"),
    ])
    .groupBy(column)
    .orderBy(dimension === "day" ? "day" : "cost", dimension === "day" ? "asc" : "desc")
    .limit(MOST)
    .execute();
  return rows.map((row) => {
    const name = row[column as keyof typeof row] as string | number;
    return lineOf(dimension === "day" ? new Date(Number(name)).toISOString().slice(0, 10) : String(name) || "none", row as unknown as Sums);
  });
}

/** Everything in one line. */
export function totals(lines: readonly Line[]): Omit<Line, "name"> {
  const sum = (of: (line: Line) => number) => lines.reduce((total, line) => total + of(line), 0);
  const requests = sum((line) => line.requests);
  const { name: _, ...rest } = lineOf("total", {
    requests,
    errors: sum((line) => line.errors),
    cached: sum((line) => (line.cache_hit_rate ?? 0) * line.requests),
    retried: 0,
    input_tokens: sum((line) => line.input_tokens),
    output_tokens: sum((line) => line.output_tokens),
    cached_tokens: sum((line) => line.cached_tokens),
    reasoning_tokens: sum((line) => line.reasoning_tokens),
    cost: sum((line) => line.cost) * NANO,
    list_cost: sum((line) => line.list_cost) * NANO,
    unpriced: sum((line) => line.unpriced),
    total_ms: sum((line) => (line.avg_ms ?? 0) * line.requests),
  });
  return rest;
}

function lineOf(name: string, row: Sums): Line {
  // PostgreSQL sums whole numbers into a numeric, which comes as text.
  const of = (key: keyof Sums) => Number(row[key]);
  const requests = of("requests");
  const [cost, list] = [of("cost"), of("list_cost")];
  const rate = (value: number) => (requests === 0 ? null : round(value / requests, 4));
  return {
    name,
    requests,
    errors: of("errors"),
    input_tokens: of("input_tokens"),
    output_tokens: of("output_tokens"),
    cached_tokens: of("cached_tokens"),
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
