import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";

const LOG_EVERY_MS = 30_000;

export interface FileSpoolServices {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Counts what goes wrong with one spool, and logs it, not more than every half minute. */
export class Trouble {
  readonly #labels: { readonly spool: string };
  readonly #services: FileSpoolServices;
  readonly #counters: ReturnType<typeof counters>;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(spool: string, services: FileSpoolServices) {
    this.#labels = { spool };
    this.#services = services;
    this.#counters = counters(services.metrics);
  }

  /** A file could not be written, read or removed. */
  failed(error: unknown): void {
    this.#counters.errors.add(1, this.#labels);
    this.complain(error);
  }

  /** A record had no place to go to. */
  dropped(): void {
    this.#counters.dropped.add(1, this.#labels);
    this.complain(new Error("there is no room for more records"));
  }

  /** Records of lines that were damaged; a line that breaks off counts as one. */
  torn(records: number): void {
    this.#counters.torn.add(records, this.#labels);
    this.#services.logger.warn({ ...this.#labels, records }, "a spool had records that were not whole; they are left out");
  }

  /** A file was set aside, which is worth a line of its own each time. */
  unreadable(path: string, error: unknown): void {
    this.#counters.errors.add(1, this.#labels);
    this.#services.logger.error({ err: error, ...this.#labels, path }, "a spool's file cannot be read; it is set aside as .bad");
  }

  complain(error: unknown): void {
    const now = this.#services.clock.monotonic();
    if (now - this.#loggedAt < LOG_EVERY_MS) return;
    this.#loggedAt = now;
    this.#services.logger.error({ err: error, ...this.#labels }, "a spool is in trouble");
  }
}

function counters(metrics: Metrics) {
  const labels = ["spool"];
  return {
    errors: metrics.counter("headgate_spool_errors_total", {
      help: "Times a spool's files could not be written, read or removed.",
      labels,
    }),
    dropped: metrics.counter("headgate_spool_dropped_total", { help: "Records that had neither a file nor room in memory.", labels }),
    torn: metrics.counter("headgate_spool_torn_total", { help: "Records of a spool's files that were not whole.", labels }),
  };
}
