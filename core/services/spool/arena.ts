import { putLine, roomFor, textOf } from "./segment.ts";

/** In bytes. */
const SLAB = 256 * 1024;
/** Slabs kept for later. */
const SPARE = 4;

interface Slab {
  readonly bytes: Buffer;
  used: number;
  /** Places in it that are still needed. */
  places: number;
}

/** Where lines are, one behind the other. */
export interface Stored {
  readonly slab: Slab;
  readonly from: number;
  to: number;
}

/** Lines that wait, outside of the heap, whose collections would move them again and again, in memory that is used anew. */
export class Arena {
  #slab = slabOf(SLAB);
  readonly #spare: Slab[] = [];

  /** Keeps records as one line. */
  store(records: readonly string[]): Stored {
    const text = textOf(records);
    const room = roomFor(text);
    const { used, bytes } = this.#slab;
    if (room > SLAB) this.#slab = slabOf(room);
    else if (used + room > bytes.length || bytes.length > SLAB) this.#slab = this.#spare.pop() ?? slabOf(SLAB);
    return put(this.#slab, text);
  }

  /** It is needed no more. */
  release({ slab }: Stored): void {
    slab.places -= 1;
    if (slab.places > 0) return;
    slab.used = 0;
    if (slab !== this.#slab && slab.bytes.length === SLAB && this.#spare.length < SPARE) this.#spare.push(slab);
  }
}

/** Makes two places, the second right behind the first, into one. False when it is not. */
export function join(place: Stored, next: Stored): boolean {
  if (place.slab !== next.slab || place.to !== next.from) return false;
  place.to = next.to;
  place.slab.places -= 1;
  return true;
}

/** In bytes. */
export function sizeOf({ from, to }: Stored): number {
  return to - from;
}

/** Records as one line, in memory of its own. */
export function storedAlone(records: readonly string[]): Stored {
  const text = textOf(records);
  return put(slabOf(roomFor(text)), text);
}

function put(slab: Slab, text: string): Stored {
  const from = slab.used;
  slab.used = putLine(slab.bytes, from, text);
  slab.places += 1;
  return { slab, from, to: slab.used };
}

function slabOf(size: number): Slab {
  return { bytes: Buffer.allocUnsafeSlow(size), used: 0, places: 0 };
}
