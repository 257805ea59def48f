/** In bytes. */
const SLAB = 256 * 1024;
/** Slabs kept for later. */
const SPARE = 4;
/** Most bytes of a UTF-16 unit in UTF-8. */
const WIDEST = 3;

interface Slab {
  readonly bytes: Buffer;
  used: number;
  /** Texts in it that are still needed. */
  texts: number;
}

/** Where a text is, as UTF-8. */
export interface Stored {
  readonly slab: Slab;
  readonly from: number;
  to: number;
}

/** Texts that wait, outside of the heap, whose collections would move them again and again, in memory that is used anew. */
export class Arena {
  #slab = emptySlab();
  readonly #spare: Slab[] = [];

  store(text: string): Stored {
    const most = text.length * WIDEST;
    if (most > SLAB) return storedAlone(text);
    if (this.#slab.used + most > SLAB) this.#slab = this.#spare.pop() ?? emptySlab();
    const slab = this.#slab;
    const from = slab.used;
    slab.used += slab.bytes.write(text, from);
    slab.texts += 1;
    return { slab, from, to: slab.used };
  }

  /** It is needed no more. */
  release({ slab }: Stored): void {
    slab.texts -= 1;
    if (slab.texts > 0) return;
    slab.used = 0;
    if (slab !== this.#slab && slab.bytes.length === SLAB && this.#spare.length < SPARE) this.#spare.push(slab);
  }
}

/** Makes two texts, the second stored right behind the first, into one. False when it was not. */
export function join(text: Stored, next: Stored): boolean {
  if (text.slab !== next.slab || text.to !== next.from) return false;
  text.to = next.to;
  text.slab.texts -= 1;
  return true;
}

/** In bytes. */
export function sizeOf({ from, to }: Stored): number {
  return to - from;
}

/** In memory of its own. */
export function storedAlone(text: string): Stored {
  const bytes = Buffer.from(text);
  return { slab: { bytes, used: bytes.length, texts: 1 }, from: 0, to: bytes.length };
}

function emptySlab(): Slab {
  return { bytes: Buffer.allocUnsafeSlow(SLAB), used: 0, texts: 0 };
}
