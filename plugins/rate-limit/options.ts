import { z } from "zod";
import { type Limit, parseLimit, SCOPES } from "./limit-text.ts";

const TITLE = `a limit such as "100/minute", "50000 tokens/minute per user" or "8 in flight per key" (per ${SCOPES.join(", ")})`;

const LimitText = z
  .string()
  .transform((text, context): Limit => {
    const limit = parseLimit(text);
    if (limit) return limit;
    context.addIssue({ code: "custom", message: `expected ${TITLE}` });
    return z.NEVER;
  })
  .meta({ title: TITLE });

export const RateLimitOptions = z.strictObject({
  /** Limits for all callers. `burst n` allows at most n of them within a sixteenth of the window. None by default. */
  limits: z.array(LimitText).default([]),
  /** Plan -> further limits for its users. */
  plans: z.record(z.string().min(1), z.array(LimitText)).default({}),
  /** How many instances share the limits while Redis is away, until it has been there once to tell. */
  instances: z.int().min(1).max(10_000).default(1),
});

export type RateLimitOptions = z.output<typeof RateLimitOptions>;
