import { z } from "zod";
import { checked, type Limit, parseLimit, SCOPES, WINDOW_MS, WINDOWS } from "./limit-text.ts";

const EXPECTED = 'a limit such as "100/minute", "50000 tokens/minute per user" or "8 in flight per key"';

const amount = () => z.int().min(1);
const scope = z.enum(SCOPES).default("key");
const rate = { window: z.enum(WINDOWS), per: scope, burst: amount().optional() };

const LimitOption = z
  .union([
    z.string(),
    z.strictObject({ requests: amount(), ...rate }),
    z.strictObject({ tokens: amount(), ...rate }),
    z.strictObject({ inFlight: amount(), per: scope }),
  ])
  .transform((given, context): Limit => {
    const limit = typeof given === "string" ? parseLimit(given) : fromObject(given);
    if (typeof limit !== "string") return limit;
    context.addIssue({ code: "custom", message: limit === "" ? EXPECTED : `${EXPECTED}; ${limit}` });
    return z.NEVER;
  });

type Rate = { readonly window: (typeof WINDOWS)[number]; readonly burst?: number | undefined };
type LimitObject = { readonly per: (typeof SCOPES)[number] } & (
  | (Rate & { readonly requests: number })
  | (Rate & { readonly tokens: number })
  | { readonly inFlight: number }
);

function fromObject(given: LimitObject): Limit | string {
  const { per } = given;
  if ("inFlight" in given) return checked({ unit: "in flight", amount: given.inFlight, windowMs: 0, per });
  const [unit, most] = "tokens" in given ? (["tokens", given.tokens] as const) : (["requests", given.requests] as const);
  return checked({ unit, amount: most, windowMs: WINDOW_MS[given.window], per, burst: given.burst });
}

export const RateLimitOptions = z.strictObject({
  /** Limits for all callers. `burst n` allows at most n of them within a sixteenth of the window. None by default. */
  limits: z.array(LimitOption).default([]),
  /** Plan -> further limits for its users; of two that count the same the stricter holds. */
  plans: z.record(z.string().min(1), z.array(LimitOption)).default({}),
  /** How many instances share the limits while Redis is away, until it has been there once to tell. */
  instances: z.int().min(1).max(10_000).default(1),
});

export type RateLimitOptions = z.output<typeof RateLimitOptions>;
