import { Bag, Clock, Database, Ids, type Spool, Spools, token } from "headgate";
import type { Call } from "./columns.ts";
import { type Beginning, beginLine, dropLine, endLine, type SealedContent, startLine } from "./record.ts";
import { Store } from "./store.ts";

const CLOSE_MS = 8_000;

export interface LedgerServices {
  readonly clock: Clock;
  readonly db: Database;
  readonly ids: Ids;
  readonly spools: Spools;
}

/** A call under way, as it was written down when it began. */
export interface OpenCall {
  readonly id: string;
  readonly line: string;
  place: number;
}

/**
 * What is written down of calls on this machine, on its way to the database. After a reload the old chain ends its calls
 * while the new one begins others: both write to the same ledger, which is closed when nobody uses it any more.
 */
export class Ledger {
  readonly #clock: Clock;
  readonly #spools: Spools;
  readonly #run: string;
  readonly #store: Store;
  readonly #open = new Bag<OpenCall>();
  #spool: Spool | undefined;
  /** When the database last took records, or the first since then began to wait; monotonic ms. */
  #movedAt = 0;
  #users = 0;

  constructor({ clock, db, ids, spools }: LedgerServices) {
    this.#clock = clock;
    this.#spools = spools;
    this.#run = ids.next("run");
    this.#store = new Store(db, clock, this.#run);
  }

  /** Records that the database does not have yet. */
  get backlog(): number {
    return this.#spool?.backlog ?? 0;
  }

  /** For how many ms records have waited of which the database took none. */
  get stuckMs(): number {
    return this.backlog === 0 ? 0 : this.#clock.monotonic() - this.#movedAt;
  }

  async start(): Promise<void> {
    if (!this.#spool) {
      const deliver = (lines: readonly string[]) =>
        this.#store.deliver(lines).then(() => {
          this.#movedAt = this.#clock.monotonic();
        });
      this.#movedAt = this.#clock.monotonic();
      this.#spool = await this.#spools.open({ name: "usage", deliver, carry: () => [...this.#open].map(({ line }) => line) });
      this.#append(startLine(this.#run));
    }
    this.#users += 1;
  }

  async stop(): Promise<void> {
    if (this.#users === 0) return;
    this.#users -= 1;
    if (this.#users > 0) return;
    const spool = this.#spool;
    this.#spool = undefined;
    await spool?.close(CLOSE_MS);
  }

  begin(id: string, begun: Beginning): OpenCall {
    const open = { id, line: beginLine(this.#run, id, begun), place: -1 };
    this.#open.add(open);
    this.#append(open.line);
    return open;
  }

  end(open: OpenCall, call: Call, content?: SealedContent): void {
    this.#open.delete(open);
    this.#append(endLine(this.#run, call, content), "patient");
  }

  /** The call gets no row. */
  drop(open: OpenCall): void {
    this.#open.delete(open);
    this.#append(dropLine(this.#run, open.id), "patient");
  }

  #append(line: string, patient?: "patient"): void {
    if (this.backlog === 0) this.#movedAt = this.#clock.monotonic();
    this.#spool?.append(line, patient);
  }
}

/** The one ledger of a gateway. */
export const UsageLedger = token(
  "usage.ledger",
  (scope) => new Ledger(scope.inject({ clock: Clock, db: Database, ids: Ids, spools: Spools })),
);
