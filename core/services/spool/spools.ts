import { join } from "node:path";
import type { Spool, SpoolOptions, Spools } from "../spool.ts";
import { FileSpool } from "./file-spool.ts";
import { Segments } from "./segments.ts";
import { adoptOrphans, claimSlot, type Slot } from "./slot.ts";
import { type FileSpoolServices, Trouble } from "./trouble.ts";

/** Spools in files below the data folder, which is touched when the first is asked for. */
export class FileSpools implements Spools {
  readonly #data: string;
  readonly #services: FileSpoolServices;
  readonly #open = new Map<string, Spool>();
  #slot: Slot | undefined;

  constructor(data: string, services: FileSpoolServices) {
    this.#data = data;
    this.#services = services;
    const help = "Records that are not delivered yet.";
    services.metrics.gauge("headgate_spool_backlog", { help, labels: ["spool"] }, () =>
      [...this.#open].map(([spool, { backlog }]) => [{ spool }, backlog] as const),
    );
  }

  get instance(): string {
    return this.#claimed().id;
  }

  async open(options: SpoolOptions): Promise<Spool> {
    if (this.#open.has(options.name))
      throw new Error(`the spool "${options.name}" is open already; a plugin that stands twice needs two names`);
    const slot = this.#claimed();
    const trouble = new Trouble(options.name, this.#services);
    const onError = (error: unknown) => trouble.failed(error);
    const segments = new Segments(join(slot.folder, options.name), onError);
    adoptOrphans(this.#data, slot, options.name, () => segments.adopt(), onError);
    const spool = new FileSpool(options, segments, this.#services.clock, trouble);
    this.#open.set(options.name, spool);
    const close = spool.close.bind(spool);
    return Object.assign(spool, {
      close: async (ms: number) => {
        await close(ms);
        this.#open.delete(options.name);
      },
    });
  }

  /** Gives the slot up, once all spools are closed. */
  close(): void {
    this.#slot?.release();
    this.#slot = undefined;
  }

  #claimed(): Slot {
    this.#slot ??= claimSlot(this.#data);
    return this.#slot;
  }
}
