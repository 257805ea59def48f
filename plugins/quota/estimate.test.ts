import fc from "fast-check";
import { type Catalogue, type ChatRequest, outputBound, type Target, Tokens } from "headgate";
import { simulator } from "headgate/providers";
import { exchange, startGateway } from "headgate/testing";
import { expect, it, onTestFinished, test } from "vitest";
import { Scope } from "../../core/di.ts";
import { KILLERS, tokensAtLeast } from "../../test/support/tokenizer-killers.ts";
import { countedInput, inputBound, needOf } from "./estimate.ts";

const tokens = new Scope().get(Tokens);

test.each(Object.entries(KILLERS))(
  "F6: never less is set aside than there are tokens: %s",
  (_, text) => {
    const call = exchange({ request: { messages: [{ role: "user", content: text }] } });
    const tokensThere = tokensAtLeast(text);
    expect(inputBound(call.wire)).toBeGreaterThanOrEqual(tokensThere);
    expect(countedInput(call, tokens)).toBeGreaterThanOrEqual(tokensThere);
  },
  60_000,
);

const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(-1, 0, 1.5, Number.POSITIVE_INFINITY, 2 ** 53 + 1, 1e9, null, undefined),
);

it("D8: no number in a request makes a negative or an unsafe reservation", () => {
  const catalogue = { find: () => undefined } as unknown as Catalogue;
  fc.assert(
    fc.property(number, number, number, number, (max_tokens, max_completion_tokens, n, best_of) => {
      const call = exchange({ request: { max_tokens, max_completion_tokens, n, best_of } as Partial<ChatRequest> });
      const estimate = { inputTokens: inputBound(call.wire), outputTokens: outputBound(call.request as ChatRequest, [], catalogue, 1_000) };
      for (const unit of ["tokens", "money", "requests"] as const) {
        const need = needOf(unit, estimate, estimate.outputTokens * 1_000);
        expect(Number.isSafeInteger(need) && need >= 0, `${need}`).toBe(true);
      }
      expect(needOf("tokens", estimate, 0)).toBeGreaterThan(0);
    }),
  );
});

test.each([
  [["small"], 100],
  [["small", "large"], 1_000],
  [["large", "small"], 1_000],
  [["small", "unknown"], 5_000],
  [[], 5_000],
])("of 5,000 output tokens asked for, no more is set aside than the models %j can give", (models, expected) => {
  const maxOutput: Record<string, number> = { small: 100, large: 1_000 };
  const catalogue = { find: ({ model }: Target) => ({ maxOutput: maxOutput[model] }) } as unknown as Catalogue;
  const targets = models.map((model) => ({ provider: "test", model }));
  expect(outputBound({ model: "any", messages: [], max_tokens: 5_000 }, targets, catalogue, 1)).toBe(expected);
});

test.each([
  ["max_tokens", -1],
  ["max_tokens", 0],
  ["max_tokens", 1.5],
  ["max_tokens", "100"],
  ["max_tokens", 2 ** 53 + 1],
  ["n", 1e9],
  ["n", -1],
  ["messages", []],
])("D8: the edge refuses %s %j, and names it", async (name, value) => {
  const gateway = await startGateway({ providers: [simulator({ speed: 0 })], models: { fast: "simulator/sim-small" }, plugins: [] });
  onTestFinished(() => gateway.stop());
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "fast", messages: [{ role: "user", content: "Hi" }], [name]: value }),
  });
  expect([response.status, ((await response.json()) as { error: { param: string } }).error.param]).toEqual([400, name]);
});
