import fc from "fast-check";
import { expect, it } from "vitest";
import { Bag } from "./bag.ts";

it("a bag holds what was put in and not taken out, in whatever order that happens", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 9 })), (moves) => {
      const items = Array.from({ length: 10 }, (_, name) => ({ name, place: -1 }));
      const bag = new Bag<(typeof items)[number]>();
      const expected = new Set<(typeof items)[number]>();
      for (const move of moves) {
        const item = items[move] as (typeof items)[number];
        // In when it was out, out when it was in.
        const was = expected.delete(item);
        expect(bag.delete(item)).toBe(was);
        if (!was) {
          bag.add(item);
          expected.add(item);
        }
        expect(new Set(bag)).toEqual(expected);
        expect(bag.size).toBe(expected.size);
      }
    }),
  );
});
