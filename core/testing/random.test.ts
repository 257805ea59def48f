import { expect, it } from "vitest";
import { FakeIds, FakeRandom } from "./random.ts";

it("gives the same numbers for the same seed, others for another, all from 0 up to 1 and evenly spread", () => {
  const draw = (seed: number) => {
    const random = new FakeRandom(seed);
    return Array.from({ length: 2000 }, () => random.next());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)[0]).not.toBe(draw(8)[0]);
  for (const seed of [0, 1, 2, -1, 2 ** 31]) {
    const numbers = draw(seed);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
    expect(mean).toBeGreaterThan(0.45);
    expect(mean).toBeLessThan(0.55);
  }
});

it("plays a script and says so when it has run out", () => {
  const random = new FakeRandom([0.1, 0.9]);
  expect([random.next(), random.next()]).toEqual([0.1, 0.9]);
  expect(() => random.next()).toThrow("only 2 were scripted");
});

it("counts identifiers", () => {
  const ids = new FakeIds();
  expect([ids.next("req"), ids.next("att")]).toEqual(["req_1", "att_2"]);
});
