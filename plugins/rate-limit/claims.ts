import type { Exchange } from "headgate";
import type { Claim } from "./counters.ts";
import type { Estimate } from "./estimate.ts";
import { type Limit, stricter } from "./limit-text.ts";

/**
 * Which counters a call touches: one for each of `limits` that applies, which are returned beside them. `known` bounds the
 * model names that callers make up.
 */
export function claimsOf(
  exchange: Exchange,
  limits: readonly Limit[],
  estimate: (exchange: Exchange) => Estimate,
  known: (model: string) => boolean,
): { limits: Limit[]; claims: Claim[] } {
  const chosen: Limit[] = [];
  const claims: Claim[] = [];
  let tokens: Estimate | undefined;
  for (const limit of limits) {
    const subject = subjectOf(limit, exchange, known);
    if (subject === undefined) continue;
    const { unit, amount, windowMs, per, burst = amount } = limit;
    if (unit === "tokens") tokens ??= estimate(exchange);
    chosen.push(limit);
    claims.push({
      key: `${unit}:${windowMs}:${per}:${subject}`,
      unit,
      cost: tokens && unit === "tokens" ? costOf(tokens, amount) : 1,
      amount,
      windowMs,
      burst,
    });
  }
  return { limits: chosen, claims };
}

/** A guess alone must not make a call too large for its limit. */
function costOf({ input, output, stated }: Estimate, amount: number): number {
  return stated ? input + output : Math.max(input, Math.min(input + output, amount));
}

/** Limits that count the same calls share one counter, so the stricter of them is enough. */
export function merged(limits: readonly Limit[]): readonly Limit[] {
  const found = new Map<string, Limit>();
  for (const limit of limits) {
    const name = `${limit.unit}:${limit.windowMs}:${limit.per}`;
    const other = found.get(name);
    found.set(name, other ? stricter(other, limit) : limit);
  }
  return [...found.values()];
}

/** A caller nobody knows is counted by address. */
function subjectOf(
  { per }: Limit,
  { caller, client, operation, requestedModel }: Exchange,
  known: (model: string) => boolean,
): string | undefined {
  switch (per) {
    case "key":
      return caller?.key ?? caller?.user ?? `ip ${client.ip}`;
    case "user":
      return caller?.user ?? caller?.key ?? `ip ${client.ip}`;
    case "team":
      return caller?.team ?? undefined;
    case "ip":
      return client.ip;
    case "model":
      return known(requestedModel) ? requestedModel : "other";
    case "route":
      return operation;
    case "everyone":
      return "all";
  }
}
