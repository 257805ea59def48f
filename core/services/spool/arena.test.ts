import fc from "fast-check";
import { expect, it } from "vitest";
import { Arena, join, type Stored } from "./arena.ts";
import { recordsOf } from "./segment.ts";

it("an arena keeps each record as it was until it is released, whatever is stored and released meanwhile", () => {
  const step = fc.record({
    text: fc.constantFrom("a", "ü€😀", "one two"),
    times: fc.constantFrom(1, 7, 5_000, 90_000),
    records: fc.integer({ min: 1, max: 3 }),
    joins: fc.boolean(),
    release: fc.nat({ max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const arena = new Arena();
      const kept: { readonly stored: Stored; readonly records: string[] }[] = [];
      for (const { text, times, records, joins, release } of steps) {
        const added = Array.from({ length: records }, (_, number) => text.repeat(times) + number);
        const stored = arena.store(added);
        const last = kept.at(-1);
        if (last && joins && join(last.stored, stored)) last.records.push(...added);
        else kept.push({ stored, records: added });
        const [gone] = release < kept.length ? kept.splice(release, 1) : [];
        if (gone) arena.release(gone.stored);
        for (const { stored, records } of kept) expect(recordsOf(stored)).toEqual(records);
      }
    }),
    { numRuns: 100 },
  );
});
