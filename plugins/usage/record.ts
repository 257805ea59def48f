import { type Call, type Cell, EXCHANGE, rowOf, tryRowOf } from "./columns.ts";

/**
 * What is written down of a call, each as one line. `b`: it has begun, in this run of the process. `e`: it has ended, with
 * its row, those of its tries that are not in it, and that of its contents (empty without), as lists in the order of the columns. `s`: the process has started anew, so that of
 * earlier runs nothing more will be heard. `d`: it has ended, and gets no row.
 */

/** What is known of a call when it begins, in the order of its cells in a record. */
const BEGUN = [
  "created_at",
  "user_id",
  "key_id",
  "team",
  "plan",
  "session",
  "dialect",
  "operation",
  "requested_model",
  "input_tokens",
  "user_agent",
  "ip",
] as const;
/** The rest of its row, if nothing more is ever heard of it: it may have had no answer, or any. */
const UNHEARD = {
  output_tokens: 0,
  cached_tokens: 0,
  cache_write_tokens: 0,
  reasoning_tokens: 0,
  estimated: 1,
  cached: 0,
  attempts: 1,
  retried: 0,
  status: 0,
  outcome: "unknown",
} as const;

/** By the names of its columns. */
export type Beginning = Readonly<Record<(typeof BEGUN)[number], Cell>>;

export function beginLine(run: string, id: string, begun: Beginning): string {
  const { created_at, user_id, key_id, team, plan, session, dialect, operation, requested_model, input_tokens, user_agent, ip } = begun;
  const cells = [created_at, user_id, key_id, team, plan, session, dialect, operation, requested_model, input_tokens, user_agent, ip];
  return `b\t${run}\t${id}\t${JSON.stringify(cells)}`;
}

/** The row, as JSON, of a call of which no more was heard than that it began. */
function unheardRow(id: string, json: string): string {
  const cells = JSON.parse(json) as Cell[];
  const known: Record<string, Cell> = { ...UNHEARD, id, ...Object.fromEntries(BEGUN.map((name, at) => [name, cells[at] ?? null])) };
  return JSON.stringify(EXCHANGE.map(({ name }) => known[name] ?? null));
}

export function startLine(run: string): string {
  return `s\t${run}\t\t`;
}

export function dropLine(run: string, id: string): string {
  return `d\t${run}\t${id}\t`;
}

/** A prompt and its answer, both sealed; the answer is null where there was none. */
export type SealedContent = readonly [prompt: string, answer: string | null];

export function endLine(run: string, call: Call, content?: SealedContent): string {
  const row = rowOf(call);
  const apart = row.try_id === null ? call.exchange.attempts : [];
  const tries = apart.map((attempt) => Object.values(tryRowOf(attempt, call)));
  const kept = content ? JSON.stringify([call.exchange.id, call.createdAt, ...content]) : "";
  // A tab is never bare in JSON, so the three can be told apart unread.
  return `e\t${run}\t${call.exchange.id}\t${JSON.stringify(Object.values(row))}\t${JSON.stringify(tries)}\t${kept}`;
}

export interface Reading {
  /** Rows of ended calls, of their tries and of their contents: each a JSON text, a list of lists; empty for none. */
  readonly calls: string;
  readonly tries: string;
  readonly contents: string;
  /** What was written when calls of earlier runs began, which have not ended; by id, as JSON text. */
  readonly open: Map<string, string>;
}

/** Reads lines in order; `open` is what earlier ones left. Lines that are none are passed over. */
export function readLines(lines: readonly string[], run: string, open: ReadonlyMap<string, string>): Reading {
  const left = new Map(open);
  const calls: string[] = [];
  const tries: string[] = [];
  const contents: string[] = [];
  for (const line of lines) {
    const [, lineRun = "", id = ""] = line.split("\t", 3);
    const json = line.slice(lineRun.length + id.length + 4);
    if (line.startsWith("e\t")) {
      const [row = "", rows = "[]", content] = json.split("\t");
      calls.push(row);
      if (rows !== "[]") tries.push(rows.slice(1, -1));
      if (content) contents.push(content);
      left.delete(id);
    } else if (line.startsWith("b\t")) {
      if (lineRun !== run) left.set(id, json);
    } else if (line.startsWith("d\t")) {
      left.delete(id);
    } else if (line.startsWith("s\t")) {
      for (const [begun, cells] of left) calls.push(unheardRow(begun, cells));
      left.clear();
    }
  }
  return { calls: listOf(calls), tries: listOf(tries), contents: listOf(contents), open: left };
}

function listOf(rows: readonly string[]): string {
  return rows.length > 0 ? `[${rows.join(",")}]` : "";
}
