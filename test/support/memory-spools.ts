import type { Spool, SpoolOptions, Spools } from "headgate";

/** A spool that delivers when it is told to, and outlives its process. */
export class MemorySpools implements Spools {
  readonly instance: string;
  /** Batches until the process is killed. */
  killAfter: number | undefined;
  #lines: string[] = [];
  #delivered: string[] = [];
  #options: SpoolOptions | undefined;

  constructor(instance: string) {
    this.instance = instance;
  }

  async open(options: SpoolOptions): Promise<Spool> {
    this.#options = options;
    const drained = async () => {
      await this.deliver();
      return true;
    };
    const append = (line: string) => this.#lines.push(line) > 0;
    return { append, backlog: 0, drained, close: async () => void (await drained()) };
  }

  /** In batches; what was delivered stays in its file. */
  async deliver(): Promise<void> {
    while (this.#lines.length > 0) {
      if (this.killAfter !== undefined && this.killAfter-- <= 0) throw new Error("killed");
      const batch = this.#lines.slice(0, 20);
      await this.#options?.deliver(batch);
      this.#delivered.push(...this.#lines.splice(0, batch.length));
    }
  }

  /** As after kill -9: the end of what was delivered is still on disk, then calls under way, then what was not delivered. */
  crash(again = 0): void {
    const kept = again > 0 ? this.#delivered.slice(-again) : [];
    this.#delivered = [];
    this.#lines.unshift(...kept, ...(this.#options?.carry?.() ?? []));
  }
}
