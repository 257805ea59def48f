/** Most models remembered. */
const MOST = 1_000;
/** Weight of the newest call. */
const WEIGHT = 0.1;
/** So many times the average is set aside: answers vary, and too little is worse than too much. */
const MARGIN = 2;

/** What models usually answer, in tokens: an exponential average with a margin, never less than `least` until known. */
export class UsualOutput {
  readonly #fallback: number;
  readonly #averages = new Map<string, number>();

  constructor(fallback: number) {
    this.#fallback = fallback;
  }

  of(model: string): number {
    const average = this.#averages.get(model);
    return average === undefined ? this.#fallback : Math.ceil(average * MARGIN);
  }

  learn(model: string, outputTokens: number): void {
    const average = this.#averages.get(model);
    if (average === undefined && this.#averages.size >= MOST) return;
    this.#averages.set(
      model,
      average === undefined ? Math.max(outputTokens, this.#fallback / MARGIN) : average + WEIGHT * (outputTokens - average),
    );
  }
}
