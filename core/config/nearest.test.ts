import fc from "fast-check";
import { expect, test } from "vitest";
import { editDistance, nearest } from "./nearest.ts";

test.each([
  ["prot", ["port", "host"], "port"],
  ["pathh", ["path", "size"], "path"],
  ["METRICS", ["metrics"], "metrics"],
  ["gateway.confg.ts", ["gateway.config.ts", "package.json"], "gateway.config.ts"],
  ["zebra", ["path", "size"], undefined],
  ["x", [], undefined],
])("%s among %j stands for %s", (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});

test("a swap of neighbours is one edit", () => {
  expect(editDistance("prot", "port")).toBe(1);
  expect(editDistance("", "abc")).toBe(3);
});

test("the distance is symmetric, zero only between equals, and never more than the longer word", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
    }),
  );
});
