import type { Charge, Reservation } from "./budget.ts";

/**
 * What an instance writes down about its calls, in order: a reservation before the call, a settlement after it, what it
 * gives back, and that it has started anew. Each as one line: kind, instance, epoch (its how manieth start), number in
 * that epoch, and what there is to say as JSON.
 */
export type BookRecord =
  | { readonly kind: "reserve"; readonly at: Place; readonly id: string; readonly charges: readonly Charge[] }
  | { readonly kind: "settle"; readonly at: Place; readonly id: string; readonly charges: readonly Charge[] }
  | { readonly kind: "return"; readonly at: Place; readonly charges: readonly Charge[] }
  | { readonly kind: "boot"; readonly at: Place };

export interface Place {
  readonly instance: string;
  readonly epoch: number;
  readonly seq: number;
}

const LETTERS = { reserve: "r", settle: "s", return: "g", boot: "b" } as const;
const KINDS = new Map(Object.entries(LETTERS).map(([kind, letter]) => [letter, kind as keyof typeof LETTERS]));

export function writeRecord(kind: BookRecord["kind"], { instance, epoch, seq }: Place, id = "", charges: readonly Charge[] = []): string {
  let list = "";
  for (const { account, used, unheld } of charges) list += `${list === "" ? "" : ","}[${JSON.stringify(account)},${used},${unheld}]`;
  return `${LETTERS[kind]}\t${instance}\t${epoch}\t${seq}\t${id}\t[${list}]`;
}

/** Undefined for what is no record. */
export function readRecord(text: string): BookRecord | undefined {
  const [letter = "", instance = "", epoch, seq, id = "", json = ""] = text.split("\t");
  const kind = KINDS.get(letter as "r");
  const at = { instance, epoch: Number(epoch), seq: Number(seq) };
  if (!kind || !Number.isSafeInteger(at.epoch) || !Number.isSafeInteger(at.seq)) return undefined;
  const charges = (JSON.parse(json) as [string, number, number][]).map(([account, used, unheld]) => ({ account, used, unheld }));
  return { kind, at, id, charges } as BookRecord;
}

/** Whether the process `self`, this start of this instance, wrote it. */
export function isBy(self: Omit<Place, "seq">, { at }: BookRecord): boolean {
  return at.instance === self.instance && at.epoch === self.epoch;
}

/** Whether a line is a reservation of this epoch, of which the process still knows by itself. */
export function isOwnReservation(text: string, { instance, epoch }: Omit<Place, "seq">): boolean {
  return text.startsWith(`r\t${instance}\t${epoch}\t`);
}

/** What a reservation would take if nothing were ever heard of its call again: all that was set aside. */
export function wholeOf({ parts }: Reservation): Charge[] {
  const charges: Charge[] = [];
  for (const { account, own, extra } of parts) {
    if (own > 0) charges.push({ account: account.id, used: own, unheld: own });
    if (extra > 0) charges.push({ account: account.additional, used: extra, unheld: extra });
  }
  return charges;
}

/** Of a call, across all instances and their starts. */
export function orphanKey(record: BookRecord): string {
  const { instance, epoch } = record.at;
  return `${instance}:${epoch}:${"id" in record ? record.id : ""}`;
}

export function isLater({ epoch, seq }: Omit<Place, "instance">, than: Omit<Place, "instance">): boolean {
  return epoch > than.epoch || (epoch === than.epoch && seq > than.seq);
}
