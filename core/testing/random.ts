import type { Ids } from "../services/ids.ts";
import type { Random } from "../services/random.ts";

/** Chance that can be replayed: the same seed gives the same numbers, or a list gives exactly these. */
export class FakeRandom implements Random {
  readonly #next: () => number;

  constructor(source: number | readonly number[] = 1) {
    this.#next = typeof source === "number" ? xorshift32(source) : scripted(source);
  }

  next(): number {
    return this.#next();
  }
}

/** Identifiers that count: `req_1`, `att_2`, … */
export class FakeIds implements Ids {
  #count = 0;

  next(prefix: string): string {
    this.#count += 1;
    return `${prefix}_${this.#count}`;
  }
}

/** Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (14), 2003: the triple (13, 17, 5). */
function xorshift32(seed: number): () => number {
  // Neighbouring seeds must not give neighbouring first numbers, and the state must not be 0.
  let state = Math.imul(seed ^ (seed >>> 16), 0x9e3779b1) ^ 0x6d2b79f5 || 1;
  const step = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let index = 0; index < 8; index++) step();
  return step;
}

function scripted(numbers: readonly number[]): () => number {
  let index = 0;
  return () => {
    const number = numbers[index];
    if (number === undefined) throw new Error(`chance was asked for a number ${index + 1} times, but only ${numbers.length} were scripted`);
    index += 1;
    return number;
  };
}
