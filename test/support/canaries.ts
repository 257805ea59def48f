import { randomInt } from "node:crypto";

/** A piece of so many characters in a row gives a secret away. */
const TELLING = 8;
/** None of hexadecimal: databases are full of hashes. */
const LETTERS = "ghjkmnpqrstvwxyz";

/** A secret that looks like nobody's, so that it is kept because of where it comes from, not of how it looks. */
export function randomSecret(): string {
  return Array.from({ length: 36 }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}

/** Secrets, and what others may see. */
export class Canaries {
  readonly #pieces = new Map<string, Set<string>>();
  readonly #seen: { readonly where: string; readonly text: string }[] = [];

  /** A new secret; `name` says in a failure whose it was. */
  hatch(name: string): string {
    return this.keep(name, randomSecret());
  }

  /** Takes a secret that was made elsewhere for one. Its four last characters may be shown. */
  keep(name: string, secret: string): string {
    const pieces = this.#pieces.get(name) ?? new Set();
    for (let at = 0; at + TELLING <= secret.length; at++) pieces.add(secret.slice(at, at + TELLING));
    this.#pieces.set(name, pieces);
    return secret;
  }

  /** Something that others may see. */
  saw(where: string, text: string): void {
    this.#seen.push({ where, text });
  }

  /** How much was seen, in characters, of what begins with `where`. */
  seen(where: string): number {
    return this.#seen.filter((each) => each.where.startsWith(where)).reduce((sum, { text }) => sum + text.length, 0);
  }

  /** Whose secret shows where, with what stands around it. */
  hits(): string[] {
    const hits: string[] = [];
    for (const [name, pieces] of this.#pieces) {
      for (const { where, text } of this.#seen) {
        const piece = [...pieces].find((each) => text.includes(each));
        if (piece === undefined) continue;
        const at = text.indexOf(piece);
        hits.push(`${name} in ${where}: …${text.slice(Math.max(0, at - 150), at + 60)}…`);
      }
    }
    return hits;
  }
}
