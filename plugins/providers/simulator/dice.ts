import { hash } from "node:crypto";

/** Choices that depend on nothing but a seed. */
export interface Dice {
  /** An integer from 0 up to, not including, `sides`. */
  roll(sides: number): number;
  pick<T>(list: readonly [T, ...T[]]): T;
}

/** A 32-bit seed from any text. */
export function seedOf(text: string): number {
  return hash("sha1", text, "buffer").readUInt32LE();
}

/** Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (14), 2003: the triple (13, 17, 5). */
export function diceOf(seed: number): Dice {
  let state = seed | 0 || 1;
  const roll = (sides: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * sides);
  };
  return { roll, pick: (list) => list[roll(list.length)] ?? list[0] };
}
