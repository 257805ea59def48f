import type { Caller, ChatRequest, Exchange, Outcome } from "headgate";
import type { Claim } from "./counters.ts";
import type { Limit } from "./limit-text.ts";
import type { RateLimitOptions } from "./options.ts";

/** Bytes to a token in a request, roughly; corrected when the call has ended. */
const BYTES_PER_TOKEN = 4;

/** Which counters a call touches. `known` bounds model names that callers make up. */
export function claimsOf(
  exchange: Exchange,
  limits: readonly Limit[],
  known: (model: string) => boolean,
): { limits: Limit[]; claims: Claim[] } {
  const chosen: Limit[] = [];
  const claims: Claim[] = [];
  let tokens: number | undefined;
  for (const limit of limits) {
    const subject = subjectOf(limit, exchange, known);
    if (subject === undefined) continue;
    const { unit, amount, windowMs, per, burst = amount } = limit;
    if (unit === "tokens") tokens ??= estimateOf(exchange);
    chosen.push(limit);
    claims.push({
      key: `${unit}:${windowMs}:${amount}:${per}:${subject}`,
      cost: unit === "tokens" ? (tokens as number) : 1,
      amount,
      windowMs,
      burst,
    });
  }
  return { limits: chosen, claims };
}

/** Limits of a caller: those for all, and those of the plan. */
export function limitsOf({ limits, plans }: RateLimitOptions, caller: Caller | undefined): readonly Limit[] {
  const own = caller && Object.hasOwn(plans, caller.plan) ? plans[caller.plan] : undefined;
  return own ? [...limits, ...own] : limits;
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

/** What the call may use: its text, and the output it asks for. */
function estimateOf({ operation, client, wire, request }: Exchange): number {
  const length = client.headers["content-encoding"] === undefined ? Number(client.headers["content-length"]) : Number.NaN;
  const bytes = Number.isFinite(length) ? length : Buffer.byteLength(JSON.stringify(wire));
  const { max_completion_tokens, max_tokens, n } = request as ChatRequest;
  const output = operation === "chat" ? (max_completion_tokens ?? max_tokens ?? 0) * (n ?? 1) : 0;
  return Math.ceil(bytes / BYTES_PER_TOKEN) + output;
}

/** What it did use. */
export function tokensOf({ usage }: Outcome): number {
  return usage ? usage.inputTokens + usage.outputTokens : 0;
}
