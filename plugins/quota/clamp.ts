import { type ChatRequest, choicesOf, type Exchange } from "headgate";
import type { LedgerAccount } from "./books.ts";
import type { Balance } from "./budget.ts";

/** Shortest answer that is worth a call, in tokens. */
const LEAST = 16;
const LIMITS = ["max_tokens", "max_completion_tokens"] as const;

/**
 * The request with as much output as the rest of the account allows; undefined when that is not worth it. `reserved`: the
 * output that `need` counts, all choices together.
 */
export function clamped(
  exchange: Exchange,
  account: LedgerAccount,
  need: number,
  { limit, used, held, additional }: Balance,
  reserved: number,
): ChatRequest | undefined {
  if (exchange.operation !== "chat" || account.unit !== "tokens") return undefined;
  const request = exchange.request as ChatRequest;
  const choices = choicesOf(request);
  const rest = Math.max(0, limit - used - held) + additional;
  const output = Math.floor((reserved - (need - rest)) / choices);
  if (output < LEAST || output * choices >= reserved) return undefined;
  const named = LIMITS.filter((name) => request[name] != null);
  const shorter = (named.length > 0 ? named : (["max_tokens"] as const)).map((name) => [name, Math.min(request[name] ?? output, output)]);
  return { ...request, ...Object.fromEntries(shorter) };
}
