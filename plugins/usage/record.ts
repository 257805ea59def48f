import { ATTEMPT, type Call, type Cell, EXCHANGE } from "./columns.ts";

/**
 * What is written down of a call, each as one line. `b`: it has begun, in this run of the process. `e`: it has ended, with
 * its row and the rows of its tries, as lists in the order of the columns. `s`: the process has started anew, so that of
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

export function endLine(run: string, call: Call): string {
  const row = EXCHANGE.map(({ of }) => of(call));
  const tries = call.exchange.attempts.map((attempt) => ATTEMPT.map(({ of }) => of({ attempt, call })));
  // A tab is never bare in JSON, so the two can be told apart unread.
  return `e\t${run}\t${call.exchange.id}\t${JSON.stringify(row)}\t${JSON.stringify(tries)}`;
}

/** Cells of a row in the making, all empty but these. */
export function sketch(cells: Readonly<Record<string, Cell>>): Cell[] {
  return EXCHANGE.map(({ name }) => cells[name] ?? null);
}

export interface Reading {
  /** Rows of ended calls and of their tries, as JSON texts of lists. */
  readonly calls: string[];
  readonly tries: string[];
  /** Calls that have begun and not ended, from earlier runs; by id, as JSON text of their rows. */
  readonly open: Map<string, string>;
}

/** Reads lines in order; `open` is what earlier ones left. Lines that are none are passed over. */
export function readLines(lines: readonly string[], run: string, open: ReadonlyMap<string, string>): Reading {
  const left = new Map(open);
  const calls: string[] = [];
  const tries: string[] = [];
  for (const line of lines) {
    const [, lineRun = "", id = ""] = line.split("\t", 3);
    const json = line.slice(lineRun.length + id.length + 4);
    if (line.startsWith("e\t")) {
      const at = json.indexOf("\t");
      calls.push(json.slice(0, at));
      if (json.length > at + 3) tries.push(json.slice(at + 2, -1));
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
  return { calls, tries, open: left };
}
