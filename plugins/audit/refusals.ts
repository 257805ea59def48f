import type { Caller, ErrorCode } from "headgate";

/** What was refused to whom. */
export interface Refusal {
  readonly caller: Caller | undefined;
  readonly ip: string | null;
  readonly code: ErrorCode;
  readonly status: number;
  /** What was asked for, by ids. */
  readonly target: Readonly<Record<string, string>>;
}

export interface CountedRefusal extends Refusal {
  /** Of the first, in epoch ms. */
  readonly at: number;
  readonly count: number;
}

/** Different refusals that are told apart at a time. */
const MOST = 1_000;

/** Counts equal refusals until they are taken, so that a flood of wrong keys is a few rows. What exceeds a thousand different ones is counted by code alone. */
export class Refusals {
  readonly #counted = new Map<string, { at: number; count: number; readonly refusal: Refusal }>();

  add(refusal: Refusal, at: number): void {
    const { caller, ip, code, target } = refusal;
    const name = JSON.stringify([caller?.key ?? caller?.user ?? caller?.name ?? ip, code, target]);
    const known = this.#counted.get(name);
    if (known) known.count += 1;
    else if (this.#counted.size < MOST) this.#counted.set(name, { at, count: 1, refusal });
    else this.#addToRest(refusal, at);
  }

  take(): CountedRefusal[] {
    const taken = [...this.#counted.values()].map(({ refusal, at, count }) => ({ ...refusal, at, count }));
    this.#counted.clear();
    return taken;
  }

  #addToRest({ code, status }: Refusal, at: number): void {
    const rest = this.#counted.get(code);
    if (rest) rest.count += 1;
    else this.#counted.set(code, { at, count: 1, refusal: { caller: undefined, ip: null, code, status, target: {} } });
  }
}
