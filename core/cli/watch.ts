import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";

const SETTLE_MS = 80;
const CODE = /\.(?:[cm]?[jt]s|json)$/;

/**
 * Calls back once after files in the folders of `files` were written, added or removed; editors write in several steps,
 * so a burst counts once. `add` may be called at any time with further files.
 */
export class Watcher {
  readonly #folders = new Map<string, FSWatcher>();
  readonly #onChange: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  add(file: string): void {
    const folder = dirname(file);
    if (this.#folders.has(folder)) return;
    const watcher = watch(folder, (_, name) => {
      if (name !== null && !CODE.test(name)) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#onChange, SETTLE_MS);
    });
    // A folder that was removed is of no more interest; a config that still needs it fails to load and says so.
    watcher.on("error", () => {
      watcher.close();
      this.#folders.delete(folder);
    });
    this.#folders.set(folder, watcher);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
  }
}
