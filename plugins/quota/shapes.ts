import { GatewayError } from "headgate";
import { z } from "zod";
import { type Limit, NANO, showAmount } from "./limit-text.ts";
import type { Tables } from "./tables.ts";

const amount = (what: string) => z.number().describe(`${what}; tokens and calls as they are, money in dollars`);
const Standing = z.strictObject({
  rule: z.string(),
  unit: z.enum(["tokens", "money", "requests"]),
  window: z.enum(["day", "week", "month", "once"]),
  used: amount("Booked"),
  reserved: amount("On lease to instances: set aside for calls under way, or ready to be"),
  limit: amount("The limit that applies"),
  additional: amount("Bought on top and left"),
  resets_at: z.string().nullable(),
});
export const Standings = z.strictObject({ user: z.string(), plan: z.string(), limits: z.array(Standing) });
export const Transaction = z.strictObject({
  id: z.string(),
  user: z.string(),
  unit: z.enum(["tokens", "money"]),
  amount: amount("Bought, or taken back when below zero"),
  reference: z.string(),
  note: z.string().nullable(),
  by: z.string(),
  balance: amount("What was on top afterwards"),
  created_at: z.string(),
});
export const LimitChange = z.strictObject({
  limit: z.string().max(100).describe('Such as "200000 tokens/month"; replaces the plan\'s of the same unit and window'),
  remove: z.boolean().optional().describe("Goes back to the plan's"),
});
export const TopUp = z.strictObject({
  unit: z.enum(["tokens", "money"]),
  amount: z
    .number()
    .refine((value) => value !== 0, "not 0")
    .describe("Tokens, or dollars; below zero takes back what is left"),
  reference: z.string().min(1).max(200).describe("Of the payment; a second one with the same is not booked again"),
  note: z.string().max(500).optional(),
});

export type Standing = z.output<typeof Standing>;

export function shown(unit: string, value: number): number {
  return unit === "money" ? value / NANO : value;
}

export function stored(unit: string, value: number): number {
  const whole = unit === "money" ? Math.round(value * NANO) : value;
  if (Number.isSafeInteger(whole)) return whole;
  throw new GatewayError("invalid_request", { param: "amount", message: "Expected a whole number of tokens, or dollars." });
}

export function textOf({ unit, amount: value, window }: Limit): string {
  return `${showAmount(unit, value)}${window === "once" ? " once" : `/${window}`}`;
}

export function transactionOf(row: Tables["quota_transactions"]): z.output<typeof Transaction> {
  const { id, subject, unit, reference, note } = row;
  return {
    id,
    user: subject,
    unit: unit as "tokens" | "money",
    amount: shown(unit, row.amount),
    reference,
    note,
    by: row.made_by,
    balance: shown(unit, row.balance_after),
    created_at: new Date(row.created_at).toISOString(),
  };
}
