import { expect, it, test } from "vitest";
import { parseLimit, showAmount } from "./limit-text.ts";
import { Calendar } from "./windows.ts";

test.each([
  ["100000 tokens/month", { unit: "tokens", amount: 100_000, window: "month" }],
  ["2.5M tokens / week", { unit: "tokens", amount: 2_500_000, window: "week" }],
  ["$20/month", { unit: "money", amount: 20e9, window: "month" }],
  ["$0.005/day", { unit: "money", amount: 5e6, window: "day" }],
  ["500 requests/day", { unit: "requests", amount: 500, window: "day" }],
  ["$5 once", { unit: "money", amount: 5e9, window: "once" }],
])("%s is a limit", (text, limit) => {
  expect(parseLimit(text)).toEqual(limit);
});

test.each([
  "",
  "20/month",
  "$20",
  "-5 tokens/day",
  "1.5 requests/day",
  "$5 tokens/day",
  "5 tokens/year",
  "1e9 tokens/day",
  "99999999999999999 tokens/day",
])("%j is none", (text) => {
  expect(parseLimit(text)).toBeUndefined();
});

it("shows amounts as people write them", () => {
  expect([showAmount("money", 1_250_000_000), showAmount("money", 12_000), showAmount("tokens", 1_200), showAmount("requests", 1)]).toEqual(
    ["$1.25", "$0.000012", "1,200 tokens", "1 request"],
  );
});

const hours = ({ start, end }: { start: number; end: number | null }) => ((end as number) - start) / 3_600_000;

it("a day on which clocks change is as long as it is, and windows leave no gap", () => {
  const berlin = new Calendar("Europe/Berlin");
  expect(hours(berlin.span("day", Date.parse("2026-03-29T12:00:00Z")))).toBe(23);
  expect(hours(berlin.span("day", Date.parse("2026-10-25T12:00:00Z")))).toBe(25);
  for (const window of ["day", "week", "month"] as const) {
    let at = Date.parse("2026-01-01T00:00:00Z");
    for (let n = 0; n < 100; n++) {
      const { start, end } = berlin.span(window, at);
      expect(at).toBeGreaterThanOrEqual(start);
      const next = berlin.span(window, end as number);
      expect(next.start).toBe(end);
      at = end as number;
    }
  }
});

it("a week begins on Monday, a month on its first, and what is meant for ever has no end", () => {
  const utc = new Calendar("UTC");
  const at = Date.parse("2026-11-25T20:00:00Z");
  expect(new Date(utc.span("week", at).start).toISOString()).toBe("2026-11-23T00:00:00.000Z");
  expect(new Date(utc.span("month", at).start).toISOString()).toBe("2026-11-01T00:00:00.000Z");
  expect(utc.span("once", at)).toEqual({ start: 0, end: null });
});
