import type { Charge } from "./budget.ts";
import { type BookRecord, isBy, isOwnReservation, type Place, readRecord } from "./records.ts";

interface Sum {
  used: number;
  unheld: number;
}

/** Charges together, by account. */
export type Sums = Map<string, Sum>;

export function add(sums: Sums, charges: Iterable<Charge>): void {
  for (const { account, used, unheld } of charges) {
    const sum = sums.get(account);
    if (sum) {
      sum.used += used;
      sum.unheld += unheld;
    } else sums.set(account, { used, unheld });
  }
}

export function* chargesOf(sums: Sums): Iterable<Charge> {
  for (const [account, { used, unheld }] of sums) yield { account, used, unheld };
}

/** Lines of a delivery, read. */
export interface Batch {
  /** One by one: what processes before this one wrote, that this one has begun, and all of it while it is in doubt what has been booked. */
  readonly records: readonly BookRecord[];
  /** What this process wrote, added up, and the places of the first and the last of it. */
  readonly own: { readonly sums: Sums; readonly first: Place; readonly last: Place } | undefined;
}

/** Reads lines, to be booked by the process whose place is `self`. Nearly all are its own, and nearly always they can be added up at once. */
export function readBatch(lines: readonly string[], self: Omit<Place, "seq">, inDoubt: boolean): Batch {
  const records: BookRecord[] = [];
  const sums: Sums = new Map();
  let first: Place | undefined;
  let last: Place | undefined;
  for (const line of lines) {
    if (isOwnReservation(line, self)) continue;
    const record = readRecord(line);
    if (!record) continue;
    if (record.kind === "boot" || !isBy(self, record) || inDoubt) records.push(record);
    else {
      add(sums, record.charges);
      first ??= record.at;
      last = record.at;
    }
  }
  return { records, own: first && last && { sums, first, last } };
}
