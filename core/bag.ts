/**
 * A set of things that come and go by the thousand, in no order; each knows its own place. A Set or Map that lives long
 * outgrows its tables, and V8 takes those for alive until its next large collection, with all that they held: things
 * that should have died young are moved and kept, which costs more than what they were for.
 */
export class Bag<Item extends { place: number }> implements Iterable<Item> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item's `place` has to be negative, as it is again once it has been deleted. */
  add(item: Item): void {
    item.place = this.#items.push(item) - 1;
  }

  /** False when it was not in. */
  delete(item: Item): boolean {
    const { place } = item;
    if (place < 0) return false;
    item.place = -1;
    // The last one takes the place of the one that goes.
    const last = this.#items.pop() as Item;
    if (last === item) return true;
    this.#items[place] = last;
    last.place = place;
    return true;
  }

  [Symbol.iterator](): IterableIterator<Item> {
    return this.#items[Symbol.iterator]();
  }
}
