import { nearest } from "../config/nearest.ts";

/** How far lengths may be apart, and how many names are compared letter by letter. */
const LENGTHS = 3;
const COMPARED = 16;

/**
 * The name that `wanted` most likely stands for, if any. Anyone may ask for what is not there, as often as they like, so of
 * what may be thousands of names only those that begin and end most alike are compared in full.
 */
export function similarName(wanted: string, names: Iterable<string>): string | undefined {
  const lower = wanted.toLowerCase();
  const alike: { name: string; letters: number }[] = [];
  for (const name of names) {
    if (Math.abs(name.length - wanted.length) > LENGTHS) continue;
    const letters = commonEnds(lower, name.toLowerCase());
    if (alike.length === COMPARED && letters <= (alike.at(-1)?.letters ?? 0)) continue;
    const at = alike.findIndex((other) => other.letters < letters);
    alike.splice(at === -1 ? alike.length : at, 0, { name, letters });
    alike.length = Math.min(alike.length, COMPARED);
  }
  return nearest(
    wanted,
    alike.map(({ name }) => name),
  );
}

/** Letters at the beginning and at the end that are the same in both. */
function commonEnds(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let before = 0;
  while (before < shorter && a[before] === b[before]) before++;
  let after = 0;
  while (after < shorter - before && a[a.length - 1 - after] === b[b.length - 1 - after]) after++;
  return before + after;
}
