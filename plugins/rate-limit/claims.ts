import type { Caller, Exchange } from "headgate";
import type { Claim } from "./counters.ts";
import type { Estimate } from "./estimate.ts";
import { type Limit, stricter } from "./limit-text.ts";

/** The limits that apply to one caller, and for each the counter that its calls touch, where that is the same for all of them. */
export interface OwnLimits {
  readonly limits: readonly Limit[];
  readonly claims: readonly (Claim | undefined)[];
}

export function ownLimits(caller: Caller | undefined, limits: readonly Limit[]): OwnLimits {
  const own = limits.filter(({ per }) => per !== "team" || caller?.team);
  const claims = own.map((limit) => {
    const subject = ownSubject(limit, caller);
    return subject === undefined ? undefined : claimOf(limit, subject);
  });
  return { limits: own, claims };
}

/** What a call claims of each of its caller's limits. `known` bounds the model names that callers make up. */
export function claimsOf(
  exchange: Exchange,
  { limits, claims }: OwnLimits,
  estimate: (exchange: Exchange) => Estimate,
  known: (model: string) => boolean,
): readonly Claim[] {
  let tokens: Estimate | undefined;
  const made: Claim[] = [];
  for (let at = 0; at < limits.length; at++) {
    const limit = limits[at] as Limit;
    const claim = claims[at] ?? claimOf(limit, subjectOf(limit, exchange, known));
    if (limit.unit === "tokens") {
      tokens ??= estimate(exchange);
      made.push({ ...claim, cost: costOf(tokens, limit.amount) });
    } else made.push(claim);
  }
  return made;
}

function claimOf({ unit, amount, windowMs, per, burst = amount }: Limit, subject: string): Claim {
  return { key: `${unit}:${windowMs}:${per}:${subject}`, unit, cost: 1, amount, windowMs, burst };
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

/** Undefined where it is not the caller alone that decides it. */
function ownSubject({ per }: Limit, caller: Caller | undefined): string | undefined {
  switch (per) {
    case "key":
      return caller?.key ?? caller?.user ?? undefined;
    case "user":
      return caller?.user ?? caller?.key ?? undefined;
    case "team":
      return caller?.team ?? undefined;
    case "everyone":
      return "all";
    default:
      return undefined;
  }
}

function subjectOf({ per }: Limit, { client, operation, requestedModel }: Exchange, known: (model: string) => boolean): string {
  switch (per) {
    case "ip":
      return client.ip;
    case "model":
      return known(requestedModel) ? requestedModel : "other";
    case "route":
      return operation;
    default:
      // A caller nobody knows is counted by address.
      return `ip ${client.ip}`;
  }
}
