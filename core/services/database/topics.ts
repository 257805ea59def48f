import type { Logger } from "../logger.ts";

type Listener = (message: string | null) => void;

/** Who listens to what within this process. */
export class Topics {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(topic: string, listener: Listener): () => void {
    const set = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, set.add(listener));
    return () => {
      set.delete(listener);
      if (set.size === 0) this.#listeners.delete(topic);
    };
  }

  tell(topic: string, message: string | null): void {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        listener(message);
      } catch (error) {
        this.#logger.error({ err: error, topic }, "a listener to the database threw");
      }
    }
  }

  /** Messages may have been missed. */
  tellAll(): void {
    for (const topic of [...this.#listeners.keys()]) this.tell(topic, null);
  }
}
