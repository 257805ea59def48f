import type { Catalogue, Target } from "headgate";
import { exchange } from "headgate/testing";
import { expect, test } from "vitest";
import { Estimator } from "./estimate.ts";

const MAX_OUTPUT: Record<string, number> = { small: 100, large: 1_000 };
const estimator = new Estimator({ find: ({ model }: Target) => ({ maxOutput: MAX_OUTPUT[model] }) } as unknown as Catalogue);

test.each([
  [["small", "large"], { max_tokens: 5_000 }, 1_000],
  [["small"], { max_tokens: 5_000 }, 100],
  [["large"], { max_tokens: 50, max_completion_tokens: 400, n: 2 }, 800],
])("a call that may end at %j and asks for %j counts %i tokens of output", (models, request, output) => {
  const targets = models.map((model) => ({ provider: "test", model }));
  expect(estimator.of(exchange({ request, targets }))).toMatchObject({ output, stated: true });
});
