import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Usage } from "../dialects/canonical.ts";
import { PriceBook } from "./price-book.ts";
import { costOf, listedPrice, type Rates, ratesFromDollars, ratesFromModel, ratesFromTable } from "./prices.ts";

const usage = (inputTokens: number, outputTokens = 0, cachedTokens = 0, cacheWriteTokens = 0): Usage => ({
  inputTokens,
  outputTokens,
  cachedTokens,
  cacheWriteTokens,
  reasoningTokens: 0,
});

const dollars = fc.integer({ min: 0, max: 1_000_000_000 }).map((micro) => micro / 1_000_000);
const price = fc.record(
  { input: dollars, output: dollars, cachedInput: dollars, cacheWrite: dollars },
  { requiredKeys: ["input", "output"] },
);
const tokens = fc.nat({ max: 100_000_000 });
const anyUsage = fc
  .tuple(tokens, tokens, fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([input, output, cached, written]) => {
    const read = Math.floor(input * cached);
    return usage(input, output, read, Math.floor((input - read) * written));
  });

describe("the cost of a call", () => {
  it("is exact in nano-dollars, rounding each component half up", () => {
    const rates = ratesFromDollars({ input: 2.5, output: 10, cachedInput: 1.25, cacheWrite: 3.125 });
    expect(costOf(rates, usage(1_000, 100))).toBe(2_500_000 + 1_000_000);
    expect(costOf(rates, usage(1_000, 100, 400, 200))).toBe(400 * 2_500 + 400 * 1_250 + 200 * 3_125 + 1_000_000);
    const cheap = ratesFromDollars({ input: 0.0005, output: 0.0004 });
    expect([0, 1, 2, 3].map((count) => costOf(cheap, usage(count)))).toEqual([0, 1, 1, 2]);
    expect([0, 1, 2, 3, 4].map((count) => costOf(cheap, usage(0, count)))).toEqual([0, 0, 1, 1, 2]);
    expect(costOf(ratesFromDollars({ input: 0.1, output: 0.2 }), usage(3, 3))).toBe(300 + 600);
  });

  it("takes cached and written input as other input when they have no price of their own", () => {
    expect(costOf(ratesFromDollars({ input: 1, output: 1 }), usage(10, 0, 4, 3))).toBe(10_000);
  });

  it("is an integer that never falls when more is used, and never depends on how tokens above the whole are stated", () => {
    fc.assert(
      fc.property(price, anyUsage, fc.nat({ max: 1_000 }), (price, used, more) => {
        const rates = ratesFromDollars(price);
        const cost = costOf(rates, used) as number;
        expect(Number.isSafeInteger(cost) && cost >= 0).toBe(true);
        expect(costOf(rates, { ...used, inputTokens: used.inputTokens + more })).toBeGreaterThanOrEqual(cost);
        expect(costOf(rates, { ...used, outputTokens: used.outputTokens + more })).toBeGreaterThanOrEqual(cost);
        const all = costOf(rates, { ...used, cachedTokens: used.inputTokens, cacheWriteTokens: 0 });
        expect(costOf(rates, { ...used, cachedTokens: used.inputTokens + more, cacheWriteTokens: more })).toBe(all);
      }),
    );
  });

  it("is within two nano-dollars of the plain sum", () => {
    fc.assert(
      fc.property(price, anyUsage, (price, used) => {
        const plain = used.inputTokens - used.cachedTokens - used.cacheWriteTokens;
        const sum =
          1_000 *
          (plain * price.input +
            used.cachedTokens * (price.cachedInput ?? price.input) +
            used.cacheWriteTokens * (price.cacheWrite ?? price.input) +
            used.outputTokens * price.output);
        expect(Math.abs((costOf(ratesFromDollars(price), used) as number) - sum)).toBeLessThanOrEqual(2 + sum * 1e-12);
      }),
    );
  });

  it("is the same from dollars per million and from nano-dollars per token", () => {
    fc.assert(
      fc.property(price, anyUsage, (price, used) => {
        const rates = ratesFromDollars(price);
        const listed = listedPrice(rates);
        expect(listed && costOf(ratesFromModel(listed), used)).toBe(costOf(rates, used));
      }),
    );
  });

  it("is not known where a component that was used has no price, or for usage that is nonsense", () => {
    const embedding = ratesFromTable({ input_mtok: 0.02 });
    expect(costOf(embedding, usage(1_000))).toBe(20_000);
    expect(costOf(embedding, usage(1_000, 1))).toBeNull();
    expect(listedPrice(embedding)).toBeUndefined();
    expect(costOf(ratesFromTable({}), usage(1))).toBeNull();
    expect(costOf(ratesFromTable({ image_kcount: 5 }), usage(1))).toBeNull();
    const rates = ratesFromDollars({ input: 1, output: 1 });
    for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(costOf(rates, usage(bad))).toBeNull();
      expect(costOf(rates, usage(1, bad))).toBeNull();
    }
  });

  it("follows tiers by the size of the whole input, and charges each call where that is the price", () => {
    const rates = ratesFromTable({
      input_mtok: {
        base: 1,
        tiers: [
          { start: 200, price: 2 },
          { start: 100, price: 1.5 },
        ],
      },
      output_mtok: { base: 10, tiers: [{ start: 200, price: 20 }] },
      requests_kcount: 5,
    });
    expect(costOf(rates, usage(100, 1))).toBe(5_000_000 + 100_000 + 10_000);
    expect(costOf(rates, usage(101, 1))).toBe(5_000_000 + 151_500 + 10_000);
    expect(costOf(rates, usage(201, 1, 100))).toBe(5_000_000 + 402_000 + 20_000);
  });
});

describe("the price catalogue", () => {
  const { calcPrice }: typeof import("@pydantic/genai-prices") = createRequire(import.meta.url)("@pydantic/genai-prices");
  const now = new Date("2026-11-20T12:00:00Z");
  const book = new PriceBook();

  it("gives the costs that the library itself works out, for all models of all kinds of provider", () => {
    const cases = ["openai", "anthropic", "google", "deepseek", "groq", "cohere", "perplexity", "x-ai", "mistral", "aws"].flatMap(
      (priceId) => book.list(priceId, now).map((entry) => ({ priceId, ...entry })),
    );
    expect(cases.length).toBeGreaterThan(200);
    for (const { priceId, info, rates } of cases) {
      for (const used of [usage(1_000, 100), usage(300_000, 5_000, 20_000, 10_000)]) {
        const cost = costOf(rates, used);
        if (cost === null) continue;
        const { inputTokens: input_tokens, outputTokens: output_tokens, cachedTokens, cacheWriteTokens } = used;
        const theirs = calcPrice(
          { input_tokens, output_tokens, cache_read_tokens: cachedTokens, cache_write_tokens: cacheWriteTokens },
          info.id,
          { providerId: priceId, timestamp: now },
        );
        expect(Math.abs(cost - (theirs?.total_price as number) * 1e9), `${priceId}/${info.id}`).toBeLessThan(3);
      }
    }
  });

  it("knows when a price changes with the time of day", () => {
    const at = (time: string) => costOf(book.lookUp("deepseek", "deepseek-chat", new Date(time))?.rates as Rates, usage(1_000_000));
    expect(at("2026-01-01T12:00:00Z")).toBe(270_000_000);
    expect(at("2026-01-01T20:00:00Z")).toBe(135_000_000);
  });

  it("does not take a name that merely contains a provider's", () => {
    expect(book.lookUp("my-openai-proxy", "gpt-4o", now)).toBeUndefined();
    expect(book.list("my-openai-proxy", now)).toEqual([]);
    expect(book.lookUp("openai", "gpt-4o", now)?.info).toMatchObject({ id: "gpt-4o", contextLength: 128_000 });
    for (const odd of ["__proto__", "constructor", "", "no-such-model", "\0", "x".repeat(200)]) {
      expect(book.lookUp("openai", odd, now)).toBeUndefined();
      expect(book.lookUp(odd, "gpt-4o", now)).toBeUndefined();
    }
  });
});
