import { ATTEMPT, type Call, type Cell, EXCHANGE } from "./columns.ts";

/**
 * What is written down of a call, each as one line. `b`: it has begun, in this run of the process. `e`: it has ended, with
 * its row, the rows of its tries, and that of its contents (empty without), as lists in the order of the columns. `s`: the process has started anew, so that of
 * earlier runs nothing more will be heard. `d`: it has ended, and gets no row.
 */

/** A call that began, with what its row will hold if nothing more is ever heard of it. */
export function beginLine(run: string, id: string, row: readonly Cell[]): string {
  return `b\t${run}\t${id}\t${JSON.stringify(row)}`;
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
  const row = EXCHANGE.map(({ of }) => of(call));
  const tries = call.exchange.attempts.map((attempt) => ATTEMPT.map(({ of }) => of({ attempt, call })));
  const kept = content ? JSON.stringify([call.exchange.id, call.createdAt, ...content]) : "";
  // A tab is never bare in JSON, so the three can be told apart unread.
  return `e\t${run}\t${call.exchange.id}\t${JSON.stringify(row)}\t${JSON.stringify(tries)}\t${kept}`;
}

/** Cells of a row in the making, all empty but these. */
export function sketch(cells: Readonly<Record<string, Cell>>): Cell[] {
  return EXCHANGE.map(({ name }) => cells[name] ?? null);
}

export interface Reading {
  /** Rows of ended calls, of their tries and of their contents, as JSON texts of lists. */
  readonly calls: string[];
  readonly tries: string[];
  readonly contents: string[];
  /** Calls that have begun and not ended, from earlier runs; by id, as JSON text of their rows. */
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
      calls.push(...left.values());
      left.clear();
    }
  }
  return { calls, tries, contents, open: left };
}
