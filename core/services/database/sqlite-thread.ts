import { Worker } from "node:worker_threads";
import type { QueryResult } from "kysely";
import { ManyRows } from "./bulk.ts";
import { DatabaseUnavailable } from "./errors.ts";
import type { Failure, FromWorker, WorkerSettings } from "./sqlite-worker.ts";

/** Most statements that may wait for one thread; more are refused. */
const WAITING = 10_000;
/** Threads given up in the middle of a statement that cannot be broken off; with so many, no further one is begun. */
const STRAYS = 2;

interface Waiter {
  resolve(result: QueryResult<never>): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/** One connection to a SQLite file, in a thread that is started when first asked and anew when it has died. */
export class SqliteThread {
  readonly #settings: WorkerSettings;
  readonly #waiting = new Map<number, Waiter>();
  readonly #onChange: () => void;
  #worker: Worker | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #strays = 0;
  #id = 0;
  #life = 0;
  #closed = false;

  constructor(settings: WorkerSettings, onChange: () => void = () => undefined) {
    this.#settings = settings;
    this.#onChange = onChange;
  }

  /** Statements sent and not answered. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Another number each time the thread has died. */
  get life(): number {
    return this.#life;
  }

  /** In the order of the calls. Rejects after `ms`; the statement may still take effect then. */
  run<Row>(sql: string, parameters: readonly unknown[], ms: number): Promise<QueryResult<Row>> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new DatabaseUnavailable("the database is closed"));
      if (this.#waiting.size >= WAITING) return reject(new DatabaseUnavailable("too many statements wait for the database"));
      if (this.#strays >= STRAYS) return reject(new DatabaseUnavailable("earlier reads are still running"));
      const id = this.#id++;
      const timer = setTimeout(() => this.#late(id, ms), ms);
      const worker = this.#worker ?? this.#start();
      // While something waits, the process has a reason to live.
      if (this.#waiting.size === 0) worker.ref();
      this.#waiting.set(id, { resolve: resolve as Waiter["resolve"], reject, timer });
      try {
        const [many] = parameters;
        worker.postMessage(many instanceof ManyRows ? { id, sql, rows: many.json, together: many.together } : { id, sql, parameters });
      } catch (error) {
        this.#take(id)?.reject(error as Error);
      }
    });
  }

  /** Lets what was sent finish, then folds the log into the file. */
  async close(): Promise<void> {
    if (!this.#closed && this.#worker) {
      this.#worker.ref();
      this.#worker.postMessage("close");
    }
    this.#closed = true;
    await this.#exited;
  }

  #start(): Worker {
    // Under the name it has here, in source or in dist.
    const file = new URL(import.meta.url.endsWith(".ts") ? "sqlite-worker.ts" : "sqlite-worker.js", import.meta.url);
    const worker = new Worker(file, { workerData: this.#settings, name: "headgate-sqlite" });
    worker.unref();
    worker.on("message", (message: FromWorker) => this.#answered(message));
    worker.on("error", (error) => this.#lost(worker, error));
    this.#exited = new Promise((resolve) => {
      worker.once("exit", () => {
        this.#lost(worker, undefined);
        resolve(undefined);
      });
    });
    this.#worker = worker;
    return worker;
  }

  #answered(message: FromWorker): void {
    if (message === "changed") return this.#onChange();
    const waiter = this.#take(message.id);
    if (!waiter) return;
    if ("error" in message) return waiter.reject(errorFrom(message.error));
    const { rows, changes, insertId } = message;
    waiter.resolve({
      rows: rows as never[],
      ...(changes !== undefined && { numAffectedRows: BigInt(changes) }),
      ...(insertId !== undefined && { insertId: BigInt(insertId) }),
    });
  }

  #take(id: number): Waiter | undefined {
    const waiter = this.#waiting.get(id);
    if (!waiter) return undefined;
    this.#waiting.delete(id);
    clearTimeout(waiter.timer);
    if (this.#waiting.size === 0) this.#worker?.unref();
    return waiter;
  }

  #late(id: number, ms: number): void {
    this.#take(id)?.reject(new DatabaseUnavailable(`no answer within ${ms} ms`));
    if (!this.#settings.readOnly) return;
    // Nothing can break a read off in its thread. So the thread is left to it, and the next read gets another.
    const worker = this.#worker;
    if (!worker) return;
    this.#strays += 1;
    worker.once("exit", () => {
      this.#strays -= 1;
    });
    this.#lost(worker, undefined);
    void worker.terminate();
  }

  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#life += 1;
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(new DatabaseUnavailable("the database's thread ended", { cause }));
  }
}

function errorFrom({ message, code, errcode }: Failure): Error {
  return Object.assign(new Error(message), { code, errcode });
}
