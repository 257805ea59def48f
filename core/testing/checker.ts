import { checkBilling, checkEnding, checkOnce } from "./check-calls.ts";
import { checkGauges, checkLoad, checkQuota, checkSecrets, checkStrays, checkTenants } from "./check-sums.ts";
import { type ClientCall, callIn, type LedgerAttempt, type LedgerExchange, type QuotaAccount, type UpstreamRecord } from "./histories.ts";

export interface Histories {
  readonly client: readonly ClientCall[];
  readonly upstream: readonly UpstreamRecord[];
  readonly ledger: { readonly exchanges: readonly LedgerExchange[]; readonly attempts: readonly LedgerAttempt[] };
  /** Looks at quota accounts, the last one at rest. What the last says was settled is compared with the attempts that it covers. */
  readonly quota?: readonly (readonly QuotaAccount[])[];
  /** Gauges that come back to their first value: slots, sockets, timers. */
  readonly gauges?: { readonly before: Readonly<Record<string, number>>; readonly after: Readonly<Record<string, number>> };
  /** Texts that belong to one tenant each. */
  readonly canaries?: readonly { readonly tenant: string; readonly text: string }[];
  /** Secrets by a name that may be shown, and outputs (logs, metrics, tables) that must not hold them. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly outputs?: Readonly<Record<string, string>>;
  /** How far an estimate may be off, as a share; half by default, and 16 tokens more. */
  readonly within?: number;
  /** Tokens of a text, near enough; four characters to a token by default. */
  tokens?(text: string): number;
  /** Whether the gateway was killed: of calls that broke, or that it had not written off, the ledger need not know more than that they were. */
  readonly crashed?: boolean;
  /** Most upstream requests for each client call; 1.2 by default. */
  readonly amplification?: number;
}

export interface Violation {
  /** As in the list of invariants: I1 billing, I2 once, I3 quota, I4 slots, I5 truncation, I6 tenants, I7 secrets, I10 upstream load. */
  readonly invariant: "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I10";
  readonly message: string;
  readonly call?: number;
}

/** Everything known of one client call. */
export interface Joined {
  readonly client: ClientCall;
  readonly upstream: readonly UpstreamRecord[];
  readonly exchanges: readonly LedgerExchange[];
  readonly attempts: readonly LedgerAttempt[];
}

/**
 * Joins what the client saw, what the upstream did and what the gateway wrote down, by the numbers that the calls carry,
 * and tells what does not fit. Empty when all is well.
 */
export function checkHistories(histories: Histories): Violation[] {
  const joined = join(histories);
  return [
    ...joined.flatMap((one) => [...checkOnce(one, histories), ...checkBilling(one, histories), ...checkEnding(one, histories)]),
    ...checkStrays(histories),
    ...checkQuota(histories),
    ...checkGauges(histories),
    ...checkTenants(histories, joined),
    ...checkSecrets(histories),
    ...checkLoad(histories),
  ];
}

function join({ client, upstream, ledger }: Histories): Joined[] {
  const upstreamOf = Map.groupBy(upstream, ({ call }) => call);
  const exchangesOf = Map.groupBy(ledger.exchanges, ({ userAgent }) => callIn(userAgent));
  const attemptsOf = Map.groupBy(ledger.attempts, ({ exchange }) => exchange);
  return client.map((one) => {
    const exchanges = exchangesOf.get(one.call) ?? [];
    const attempts = exchanges.flatMap(({ id }) => attemptsOf.get(id) ?? []);
    return { client: one, upstream: upstreamOf.get(one.call) ?? [], exchanges, attempts };
  });
}
