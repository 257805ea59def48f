import type { ChatRequest, Exchange } from "headgate";
import type { LedgerAccount } from "./books.ts";
import type { Balance } from "./budget.ts";
import { askedOutput } from "./estimate.ts";

/** Shortest answer that is worth a call, in tokens. */
const LEAST = 16;
const LIMITS = ["max_tokens", "max_completion_tokens"] as const;

/** The request with as much output as the rest of the account allows, where it states no maximum less than the `usual`; undefined when that is not worth it. */
export function clamped(
  exchange: Exchange,
  account: LedgerAccount,
  need: number,
  { limit, used, held, additional }: Balance,
  usual: number,
): ChatRequest | undefined {
  if (exchange.operation !== "chat" || account.unit !== "tokens") return undefined;
  const request = exchange.request as ChatRequest & { best_of?: number | null };
  const choices = Math.max(request.n ?? 1, request.best_of ?? 1);
  const asked = askedOutput(request) ?? usual;
  const rest = Math.max(0, limit - used - held) + additional;
  const output = Math.floor((asked * choices - (need - rest)) / choices);
  if (output < LEAST || output >= asked) return undefined;
  const named = LIMITS.filter((name) => request[name] != null);
  const shorter = (named.length > 0 ? named : (["max_tokens"] as const)).map((name) => [name, Math.min(request[name] ?? output, output)]);
  return { ...request, ...Object.fromEntries(shorter) };
}
