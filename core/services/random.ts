import { token } from "../di.ts";

/** Chance. Replaced by a seeded one in tests, so that jitter, sampling and chaos can be replayed. */
export interface Random {
  /** A number from 0 up to, not including, 1. */
  next(): number;
}

export const Random = token<Random>("random", () => ({ next: Math.random }));
