import type { ChatRequest, Exchange } from "headgate";
import type { Balance } from "./budget.ts";
import type { LedgerAccount } from "./ledger.ts";

/** Shortest answer that is worth a call, in tokens. */
const LEAST = 16;

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
  const asked = request.max_completion_tokens ?? request.max_tokens ?? usual;
  const rest = Math.max(0, limit - used - held) + additional;
  const output = Math.floor((asked * choices - (need - rest)) / choices);
  if (output < LEAST || output >= asked) return undefined;
  return request.max_completion_tokens == null ? { ...request, max_tokens: output } : { ...request, max_completion_tokens: output };
}
