import fc from "fast-check";
import { expect, it } from "vitest";
import { Arena, join, type Stored } from "./arena.ts";
import { recordsOf, roomFor } from "./segment.ts";

it("an arena keeps each record as it was until it is released, whatever is stored and released meanwhile", () => {
  const step = fc.record({
    text: fc.constantFrom("a", "ü€😀", "one two"),
    times: fc.constantFrom(1, 7, 5_000, 90_000),
    adds: fc.boolean(),
    joins: fc.boolean(),
    release: fc.nat({ max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const arena = new Arena();
      let open: Stored | undefined;
      const kept: { readonly stored: Stored; readonly records: string[] }[] = [];
      for (const { text, times, adds, joins, release } of steps) {
        const whole = text.repeat(times);
        const last = kept.at(-1);
        if (last && last.stored === open && adds && arena.put(last.stored, whole)) last.records.push(whole);
        else {
          open = arena.open(roomFor(whole));
          expect(arena.put(open, whole)).toBe(true);
          if (last && joins && join(last.stored, open)) last.records.push(whole);
          else kept.push({ stored: open, records: [whole] });
        }
        const [gone] = release < kept.length ? kept.splice(release, 1) : [];
        if (gone) arena.release(gone.stored);
        for (const { stored, records } of kept) expect(recordsOf(stored)).toEqual(records);
      }
    }),
    { numRuns: 100 },
  );
});
