/** Lets one in at a time, in the order they came. */
export class Lane {
  #taken = false;
  readonly #waiting = new Set<() => void>();

  get free(): boolean {
    return !this.#taken;
  }

  /** False when its turn did not come within `ms`; then there is nothing to leave. */
  enter(ms: number): Promise<boolean> {
    if (!this.#taken) {
      this.#taken = true;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const turn = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(turn);
        resolve(false);
      }, ms);
      this.#waiting.add(turn);
    });
  }

  leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#taken = false;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
