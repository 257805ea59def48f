import type { Histories, Joined, Violation } from "./checker.ts";
import { callIn, type LedgerAttempt, type LedgerExchange, type QuotaAccount } from "./histories.ts";

/** I2 and I1: rows that belong to no call, or to two. */
export function checkStrays({ client, upstream, ledger }: Histories): Violation[] {
  const violations: Violation[] = [];
  const known = new Set(client.map(({ call }) => call));
  const exchanges = new Set(ledger.exchanges.map(({ id }) => id));
  for (const id of doubles(ledger.attempts.map((attempt) => attempt.id)))
    violations.push({ invariant: "I2", message: `attempt ${id} has two rows` });
  for (const id of doubles(ledger.exchanges.map((exchange) => exchange.id)))
    violations.push({ invariant: "I2", message: `exchange ${id} has two rows` });
  for (const { id, exchange } of ledger.attempts) {
    if (!exchanges.has(exchange)) violations.push({ invariant: "I2", message: `attempt ${id} belongs to no exchange` });
  }
  for (const { id, userAgent } of ledger.exchanges) {
    const call = callIn(userAgent);
    if (call !== undefined && !known.has(call)) violations.push({ invariant: "I2", message: `exchange ${id} belongs to no call` });
  }
  for (const { call } of upstream) {
    if (call !== undefined && !known.has(call))
      violations.push({ invariant: "I2", message: "an upstream request belongs to no call", call });
  }
  return violations;
}

/** I3: never more than the limit, nothing reserved at rest, and settled what the ledger says was used. */
export function checkQuota({ quota = [], ledger, crashed = false }: Histories): Violation[] {
  const violations: Violation[] = [];
  const add = (message: string) => void violations.push({ invariant: "I3", message });
  for (const { account, limit, settled, reserved } of quota.flat()) {
    if (settled + reserved > limit) add(`${account}: ${settled} settled and ${reserved} reserved of ${limit}`);
    if (settled < 0 || reserved < 0) add(`${account}: ${settled} settled and ${reserved} reserved`);
  }
  for (const { account, unit, settled, reserved, covers, unknownAtMost = 0 } of quota.at(-1) ?? []) {
    if (reserved !== 0) add(`${account}: ${reserved} reserved at rest`);
    if (!covers) continue;
    const covered = ledger.exchanges.filter(covers);
    const least = usedBy(covered, ledger.attempts, unit);
    const most = least + (crashed ? unknownAtMost * covered.filter(({ unknown }) => unknown).length : 0);
    if (settled < least || settled > most)
      add(`${account}: ${settled} settled, but the ledger says ${least}${most > least ? ` to ${most}` : ""}`);
  }
  return violations;
}

function usedBy(exchanges: readonly LedgerExchange[], attempts: readonly LedgerAttempt[], unit: QuotaAccount["unit"]): number {
  const ids = new Set(exchanges.map(({ id }) => id));
  const rows = attempts.filter(({ exchange }) => ids.has(exchange));
  const tokens = ({ inputTokens, outputTokens }: LedgerAttempt) => (inputTokens ?? 0) + (outputTokens ?? 0);
  if (unit === "requests") return new Set(rows.filter((row) => tokens(row) > 0).map(({ exchange }) => exchange)).size;
  return rows.reduce((sum, row) => sum + (unit === "money" ? (row.cost ?? 0) : tokens(row)), 0);
}

/** I4: everything is as it was. */
export function checkGauges({ gauges }: Histories): Violation[] {
  return Object.entries(gauges?.before ?? {}).flatMap(([name, before]): Violation[] => {
    const after = gauges?.after[name];
    return after === before ? [] : [{ invariant: "I4", message: `${name}: ${before} before, ${after} after` }];
  });
}

/** I6: a tenant's texts reach that tenant's own clients, and go upstream in that tenant's own calls. */
export function checkTenants({ canaries = [] }: Histories, joined: readonly Joined[]): Violation[] {
  return joined.flatMap(({ client, upstream }) =>
    canaries
      .filter(({ tenant }) => tenant !== client.tenant)
      .flatMap(({ tenant, text }): Violation[] => {
        const { call } = client;
        const seen: Violation[] = client.raw.includes(text)
          ? [{ invariant: "I6", message: `${client.tenant} was sent what is ${tenant}'s`, call }]
          : [];
        const sent = upstream.some(({ body }) => body.includes(text));
        return sent ? [...seen, { invariant: "I6", message: `what is ${tenant}'s went upstream for ${client.tenant}`, call }] : seen;
      }),
  );
}

/** I7: no secret in anything that people see. Names it, and does not show it. */
export function checkSecrets({ secrets = {}, outputs = {}, client }: Histories): Violation[] {
  const places: [string, string, number?][] = [
    ...Object.entries(outputs),
    ...client.map(({ raw, call }): [string, string, number] => ["a response", raw, call]),
  ];
  return Object.entries(secrets).flatMap(([name, secret]) =>
    places
      .filter(([, text]) => text.includes(secret))
      .map(
        ([place, , call]): Violation => ({
          invariant: "I7",
          message: `${name} stands in ${place}`,
          ...(call === undefined ? {} : { call }),
        }),
      ),
  );
}

/** I10: retries do not multiply the load. */
export function checkLoad({ client, upstream, amplification = 1.2 }: Histories): Violation[] {
  if (upstream.length <= Math.ceil(client.length * amplification)) return [];
  return [{ invariant: "I10", message: `${upstream.length} requests upstream for ${client.length} calls` }];
}

function doubles(ids: readonly string[]): Set<string> {
  const seen = new Set<string>();
  return new Set(ids.filter((id) => seen.has(id) || !seen.add(id)));
}
