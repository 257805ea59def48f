import type { Database } from "headgate";
import type { LedgerAttempt, LedgerExchange } from "headgate/testing";

interface Rows {
  usage_exchanges: { id: string; user_agent: string | null; key_id: string | null; cached: number; estimated: number };
  usage_attempts: { id: string; exchange_id: string; input_tokens: number; output_tokens: number; cost: number | null };
}

/** What the usage plugin has written down, as `checkHistories` joins it. */
export async function readLedger(db: Database): Promise<{ exchanges: LedgerExchange[]; attempts: LedgerAttempt[] }> {
  const tables = db.tables<Rows>();
  const exchanges = await tables.selectFrom("usage_exchanges").select(["id", "user_agent", "key_id", "cached", "estimated"]).execute();
  const attempts = await tables
    .selectFrom("usage_attempts")
    .select(["id", "exchange_id", "input_tokens", "output_tokens", "cost"])
    .execute();
  // Whether anything was estimated is said of the call as a whole.
  const estimated = new Set(exchanges.filter((row) => row.estimated === 1).map(({ id }) => id));
  return {
    exchanges: exchanges.map(({ id, user_agent, key_id, cached }) => ({ id, userAgent: user_agent, key: key_id, cached: cached === 1 })),
    attempts: attempts.map(({ id, exchange_id, input_tokens, output_tokens, cost }) => ({
      id,
      exchange: exchange_id,
      inputTokens: input_tokens,
      outputTokens: output_tokens,
      estimated: estimated.has(exchange_id),
      cost,
    })),
  };
}
