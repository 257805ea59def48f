import fc from "fast-check";
import { expect, it } from "vitest";
import { Arena, join, type Stored } from "./arena.ts";

const read = ({ slab, from, to }: Stored) => slab.bytes.toString("utf8", from, to);

it("an arena keeps each text as it was until it is released, whatever is stored and released meanwhile", () => {
  const step = fc.record({
    text: fc.constantFrom("a", "ü€😀", "one\ntwo"),
    times: fc.constantFrom(1, 7, 5_000, 90_000),
    joins: fc.boolean(),
    release: fc.nat({ max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const arena = new Arena();
      const kept: { readonly stored: Stored; text: string }[] = [];
      for (const { text, times, joins, release } of steps) {
        const whole = text.repeat(times);
        const stored = arena.store(whole);
        const last = kept.at(-1);
        if (last && joins && join(last.stored, stored)) last.text += whole;
        else kept.push({ stored, text: whole });
        const [gone] = release < kept.length ? kept.splice(release, 1) : [];
        if (gone) arena.release(gone.stored);
        for (const { stored, text } of kept) if (read(stored) !== text) expect.fail("a text was written over");
      }
    }),
    { numRuns: 100 },
  );
});
