import { token } from "../di.ts";

/**
 * Records on their way from this machine to a database: appended to a local file, delivered in batches, in order, at
 * least once, also after a crash. What is delivered twice has to have the effect of once.
 */
export interface Spool {
  /**
   * Adds a record, a text without control characters but tabs (JSON has none). It is in the operating system's hands once `Clock.turn` has come, and so before
   * a call that writes it goes out to its provider (a killed process loses nothing), and on disk within a tenth of a second. One that is `patient` may wait two milliseconds for
   * others to be written with. False when it could not be written (a full disk): it is then kept in memory, up to a limit, and
   * counted.
   */
  append(record: string, patient?: "patient"): boolean;
  /** Records appended and not yet delivered. */
  readonly backlog: number;
  /** Resolves to true when all that was appended by now has been delivered, to false after `ms`. */
  drained(ms: number): Promise<boolean>;
  /** Delivers what it can within `ms`, and closes the files; the rest is delivered by the next process. */
  close(ms: number): Promise<void>;
}

export interface SpoolOptions {
  /** Name of its folder. */
  readonly name: string;
  /** Takes records in the order of their appending. Rejects when they have to be offered again, which is done with growing pauses. */
  deliver(records: readonly string[]): Promise<void>;
  /** Records to open each new file with, for what must not be forgotten with an older file (calls under way). */
  carry?(): readonly string[];
  /** Records that are enough for one delivery, which has them whole turn by turn; 2,000 by default. */
  readonly batch?: number;
}

export interface Spools {
  /** Stays the same when this machine's process is started again; no other live process has it. */
  readonly instance: string;
  /**
   * Opens a spool, with what an earlier process left undelivered. That is offered first, and to the next process too unless
   * the first record of this one has been delivered after it: until then it may be remembered in memory alone.
   */
  open(options: SpoolOptions): Promise<Spool>;
}

export const Spools = token<Spools>("spools");
