import type { Database } from "headgate";
import type { LedgerAttempt, LedgerExchange, QuotaAccount } from "headgate/testing";

interface Rows {
  usage_exchanges: { id: string; user_agent: string | null; key_id: string | null; cached: number; estimated: number; outcome: string };
  quota_accounts: {
    id: string;
    kind: string;
    subject: string;
    unit: QuotaAccount["unit"];
    window: string;
    limit_amount: number;
    used: number;
    held: number;
  };
  usage_tries: { id: string; exchange_id: string; input_tokens: number; output_tokens: number; cost: number | null };
}

/** What the usage plugin has written down, as `checkHistories` joins it. */
export async function readLedger(db: Database): Promise<{ exchanges: LedgerExchange[]; attempts: LedgerAttempt[] }> {
  const tables = db.tables<Rows>();
  const exchanges = await tables
    .selectFrom("usage_exchanges")
    .select(["id", "user_agent", "key_id", "cached", "estimated", "outcome"])
    .execute();
  const attempts = await tables.selectFrom("usage_tries").select(["id", "exchange_id", "input_tokens", "output_tokens", "cost"]).execute();
  // Whether anything was estimated is said of the call as a whole.
  const estimated = new Set(exchanges.filter((row) => row.estimated === 1).map(({ id }) => id));
  return {
    exchanges: exchanges.map(({ id, user_agent, key_id, cached, outcome }) => ({
      id,
      userAgent: user_agent,
      key: key_id,
      cached: cached === 1,
      unknown: outcome === "unknown",
    })),
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

/**
 * What the quota plugin has in its books, as `checkHistories` joins it. An account covers the calls of a key: that of the
 * account itself, or the one that `keyOf` says its user has. `unknownAtMost`, by unit: see there.
 */
export async function readQuota(
  db: Database,
  keyOf: (user: string) => string,
  unknownAtMost: Readonly<Partial<Record<QuotaAccount["unit"], number>>> = {},
): Promise<QuotaAccount[]> {
  const accounts = await db.tables<Rows>().selectFrom("quota_accounts").selectAll().where("window", "!=", "additional").execute();
  return accounts.map(({ id, kind, subject, unit, limit_amount, used, held }) => {
    const owner = kind === "user" ? keyOf(subject) : subject;
    return {
      account: id,
      unit,
      limit: limit_amount,
      settled: used,
      reserved: held,
      covers: ({ key }) => key === owner,
      unknownAtMost: unknownAtMost[unit] ?? 0,
    };
  });
}
