import { putLine, roomFor } from "./segment.ts";

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

  /** A place for lines, where there is room for so many bytes. */
  open(room: number): Stored {
    const { used, bytes } = this.#slab;
    if (room > SLAB) this.#slab = slabOf(room);
    else if (used + room > bytes.length || bytes.length > SLAB) this.#slab = this.#spare.pop() ?? slabOf(SLAB);
    const slab = this.#slab;
    slab.places += 1;
    return { slab, from: slab.used, to: slab.used };
  }

  /** Puts a record's line at the end of the place that was opened last; false when there is no room. */
  put(place: Stored, record: string): boolean {
    const { slab, to } = place;
    if (to + roomFor(record) > slab.bytes.length) return false;
    place.to = putLine(slab.bytes, to, record);
    slab.used = place.to;
    return true;
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

/** Lines of records, in memory of their own. */
export function storedAlone(records: readonly string[]): Stored {
  const slab = slabOf(records.reduce((room, record) => room + roomFor(record), 0));
  slab.places = 1;
  for (const record of records) slab.used = putLine(slab.bytes, slab.used, record);
  return { slab, from: 0, to: slab.used };
}

function slabOf(size: number): Slab {
  return { bytes: Buffer.allocUnsafeSlow(size), used: 0, places: 0 };
}
