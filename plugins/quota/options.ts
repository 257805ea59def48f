import { z } from "zod";
import { type Limit, NANO, parseLimit } from "./limit-text.ts";

const TITLE = 'a limit such as "100000 tokens/month", "$20/month", "500 requests/day" or "$5 once"';

const Text = z
  .string()
  .transform((text, context): Limit => {
    const limit = parseLimit(text);
    if (limit) return limit;
    context.addIssue({ code: "custom", message: `expected ${TITLE}` });
    return z.NEVER;
  })
  .meta({ title: TITLE });

const Per = z.enum(["day", "week", "month", "once"]);
const count = () => z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const Tokens = z
  .strictObject({ tokens: count(), per: Per })
  .transform(({ tokens, per }): Limit => ({ unit: "tokens", amount: tokens, window: per }));
const Dollars = z
  .strictObject({ dollars: z.number().min(0).max(9_000_000), per: Per })
  .transform(({ dollars, per }): Limit => ({ unit: "money", amount: Math.round(dollars * NANO), window: per }));
const Requests = z
  .strictObject({ requests: count(), per: Per })
  .transform(({ requests, per }): Limit => ({ unit: "requests", amount: requests, window: per }));

const Limits = z.array(z.union([Text, Tokens, Dollars, Requests]).meta({ title: TITLE }));

export const QuotaOptions = z.strictObject({
  /** Plan -> what each of its users may use. `default` is for plans that are not named. No limit by default. */
  plans: z.record(z.string().min(1), Limits).default({}),
  /** What each key may use, whoever its user is. */
  keys: Limits.default([]),
  /** What the members of a team may use together. */
  teams: Limits.default([]),
  /** What all callers may use together. */
  everyone: Limits.default([]),
  /** Time zone of days, weeks and months. */
  timeZone: z
    .string()
    .refine((zone) => isTimeZone(zone), { message: 'expected a time zone such as "Europe/Berlin"' })
    .default("UTC"),
  /** Bounds of a user's own limits, as parts of the plan's: 0 to 10 lets an admin set anything from nothing to ten times as much. */
  overrides: z.strictObject({ min: z.number().min(0).default(0), max: z.number().min(0).max(1_000_000).default(10) }).prefault({}),
  /** Output tokens set aside for a call that states no maximum, until the model's usual output is known. */
  defaultOutput: z.int().min(1).max(1_000_000).default(1024),
  /** Shortens the output of a call to what is left, instead of refusing the call. */
  clampOutput: z.boolean().default(false),
  /** Charges an answer from a cache as if a provider had given it. */
  chargeCacheHits: z.boolean().default(false),
  /** What a model without a known price costs where money is limited, in dollars per million tokens. Refused by default, for it must not be free. */
  unknownPrice: z.union([z.literal("refuse"), z.strictObject({ input: z.number().min(0), output: z.number().min(0) })]).default("refuse"),
});

export type QuotaOptions = z.output<typeof QuotaOptions>;

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
