// Runs in a thread of its own, where a slow statement holds up nobody's event loop. Loaded as it stands, from source and
// from dist: it imports nothing but Node.
import { closeSync, mkdirSync, openSync, readlinkSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";
import { basename, dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

export interface WorkerSettings {
  /** A file, or `:memory:`. */
  readonly path: string;
  readonly readOnly: boolean;
}

interface Statement {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** A statement to be run for each of a JSON list of lists, or its like for several of them `together`. */
interface ManyStatements {
  readonly id: number;
  readonly sql: string;
  readonly rows: string;
  readonly together: { readonly sql: string; readonly rows: number };
}

export type FromWorker =
  | {
      readonly id: number;
      readonly rows: Record<string, unknown>[];
      readonly changes?: number | bigint;
      readonly insertId?: number | bigint;
    }
  | { readonly id: number; readonly error: Failure }
  /** Another process has written to the file. */
  | "changed";

export interface Failure {
  readonly message: string;
  readonly code: string | undefined;
  /** SQLite's own, extended, result code. */
  readonly errcode: number | undefined;
}

/** How long a statement waits while another process writes, in ms; less than the deadline of a statement. */
const BUSY_MS = 4_000;
/** How often it looks whether another process has written, in ms. */
const POLL_MS = 250;
/** Statements kept prepared. */
const PREPARED = 200;
/** By how much this thread is nicer than the one that answers calls: of a core that both want it gets a tenth, enough for ten thousand calls a second. */
const NICER = 10;
/** For how long it inserts rows before it rests, and how long that is, in ms. Nicer as it is, the kernel would let it have a core for 3 to 4 ms at a time. */
const WORK_MS = 0.5;
const REST_MS = 0.1;
/** Nobody wakes it. */
const NOTHING = new Int32Array(new SharedArrayBuffer(4));

const { path, readOnly } = workerData as WorkerSettings;
const port = parentPort as NonNullable<typeof parentPort>;
let database: DatabaseSync | undefined;
let version: unknown;
const prepared = new Map<string, StatementSync>();

yieldToCalls();

port.on("message", (message: Statement | ManyStatements | "close") => {
  if (message === "close") return close();
  const { id, sql } = message;
  try {
    database ??= open();
    if ("rows" in message) {
      runMany(database, message);
      port.postMessage({ id, rows: [] } satisfies FromWorker);
      return;
    }
    const statement = prepare(database, sql);
    const values = message.parameters.map(toSql);
    if (statement.columns().length > 0) {
      port.postMessage({ id, rows: statement.all(...values) } satisfies FromWorker);
    } else {
      const { changes, lastInsertRowid } = statement.run(...values);
      port.postMessage({ id, rows: [], changes, insertId: lastInsertRowid } satisfies FromWorker);
    }
  } catch (error) {
    port.postMessage({ id, error: failureOf(error) } satisfies FromWorker);
  }
});

if (!readOnly && path !== ":memory:") setInterval(look, POLL_MS).unref();

/** What it writes nobody waits for; a call that came just then would have to wait for it. Only Linux has priorities of threads. */
function yieldToCalls(): void {
  try {
    setPriority(Number(basename(readlinkSync("/proc/thread-self"))), Math.min(getPriority() + NICER, constants.priority.PRIORITY_LOW));
  } catch {
    // Then they share alike.
  }
}

function open(): DatabaseSync {
  if (!readOnly && path !== ":memory:") createPrivately(path);
  const opened = new DatabaseSync(path, { readOnly, timeout: BUSY_MS, enableForeignKeyConstraints: true });
  if (readOnly) return opened;
  // Rows of the ledger are half a kilobyte: larger pages are fewer to write, a tenth of the CPU. For new files alone.
  opened.exec("pragma page_size = 8192");
  // FULL: what is acknowledged outlives a power cut, not just a killed process. Rows that come in masses arrive in
  // batches, so that the cost (0.4 ms a commit on a plain disk) is paid per batch.
  // What a statement of many rows would need to be undone is kept in memory, not in a file of its own each time.
  opened.exec("pragma journal_mode = wal; pragma synchronous = full; pragma temp_store = memory");
  return opened;
}

/** The file is for its owner alone, and so are those that SQLite puts beside it. A file that exists is not touched: closing it would end SQLite's locks. */
function createPrivately(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function prepare(on: DatabaseSync, sql: string): StatementSync {
  const known = prepared.get(sql);
  prepared.delete(sql);
  const statement = known ?? on.prepare(sql);
  prepared.set(sql, statement);
  // The one that has not been used for longest goes.
  if (prepared.size > PREPARED) prepared.delete(prepared.keys().next().value as string);
  return statement;
}

/** Numbers go in as floats here, and become whole again by the type of their column. */
function runMany(on: DatabaseSync, { sql, rows: json, together }: ManyStatements): void {
  const rows = JSON.parse(json) as SQLInputValue[][];
  const whole = rows.length - (rows.length % together.rows);
  const [many, one] = [prepare(on, together.sql), prepare(on, sql)];
  let since = performance.now();
  for (let at = 0; at < whole; at += together.rows) {
    many.run(...([] as SQLInputValue[]).concat(...rows.slice(at, at + together.rows)));
    if (performance.now() - since < WORK_MS) continue;
    Atomics.wait(NOTHING, 0, 0, REST_MS);
    since = performance.now();
  }
  for (const row of rows.slice(whole)) one.run(...row);
}

/** As PostgreSQL would take it: whole numbers stay whole (node:sqlite sends every number as a float), truth is a number. */
function toSql(value: unknown): SQLInputValue {
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value !== "number" || !Number.isInteger(value)) return value as SQLInputValue;
  if (!Number.isSafeInteger(value)) throw new RangeError("a whole number beyond 2^53 cannot be stored exactly");
  return BigInt(value);
}

function look(): void {
  if (!database) return;
  try {
    const now = prepare(database, "pragma data_version").get()?.data_version;
    if (version !== undefined && version !== now) port.postMessage("changed" satisfies FromWorker);
    version = now;
  } catch {
    // Whatever keeps it from looking, the next statement reports.
  }
}

function close(): void {
  prepared.clear();
  try {
    // The last connection to close also folds the write-ahead log into the file.
    database?.close();
  } finally {
    port.close();
  }
}

function failureOf(error: unknown): Failure {
  const { message, code, errcode } = error as Error & { code?: string; errcode?: number };
  return { message, code, errcode };
}
