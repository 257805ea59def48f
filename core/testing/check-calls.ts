import type { Histories, Joined, Violation } from "./checker.ts";
import type { ClientCall, LedgerAttempt, UpstreamRecord } from "./histories.ts";

/** I2: one row for each exchange and each attempt, none lost, none doubled. */
export function checkOnce({ client, upstream, exchanges, attempts }: Joined, { crashed = false }: Histories): Violation[] {
  const { call } = client;
  const violations: Violation[] = [];
  const add = (message: string) => void violations.push({ invariant: "I2", message, call });
  // A call of which nothing went upstream and that got no answer may never have reached the chain.
  const expected = upstream.length > 0 || client.answer.ended;
  if (exchanges.length > 1) add(`${exchanges.length} exchange rows`);
  if (expected && exchanges.length === 0) add("no exchange row");
  if (exchanges.length === 1 && attempts.length < upstream.length && !(crashed && exchanges[0]?.unknown)) {
    add(`${upstream.length} requests upstream, but ${attempts.length} attempt rows`);
  }
  return violations;
}

/** I1: exact where the answer came to its end, within the bound and flagged where it did not; and billed to the key that asked. */
export function checkBilling({ client, upstream, exchanges, attempts }: Joined, histories: Histories): Violation[] {
  const { call } = client;
  const violations: Violation[] = [];
  const free = [...attempts];
  for (const [index, record] of upstream.entries()) {
    // Some attempts never reach the upstream, so the first that fits is its own.
    const served = index === upstream.length - 1 ? client : undefined;
    const misfits = free.map((attempt) => misfit(attempt, record, served, histories));
    const at = Math.max(0, misfits.indexOf(undefined));
    const [taken] = free.splice(at, 1);
    if (taken && misfits[at] !== undefined) violations.push({ invariant: "I1", message: `attempt ${taken.id}: ${misfits[at]}`, call });
  }
  for (const { id, inputTokens, outputTokens } of free) {
    if ((inputTokens ?? 0) + (outputTokens ?? 0) > 0)
      violations.push({ invariant: "I1", message: `attempt ${id}: billed, but nothing went upstream`, call });
  }
  for (const { id, key } of exchanges) {
    if (client.key !== undefined && key !== client.key)
      violations.push({ invariant: "I1", message: `exchange ${id}: billed to ${key}`, call });
  }
  return violations;
}

/** Why a row is not what is owed for this request; undefined when it is. `client` is the one that was served by it, if it was. */
function misfit(
  row: LedgerAttempt,
  { usage, answer }: UpstreamRecord,
  client: ClientCall | undefined,
  histories: Histories,
): string | undefined {
  const { inputTokens, outputTokens, estimated } = row;
  const whole = answer.ended && answer.error === undefined;
  const exact = usage !== null && inputTokens === usage.inputTokens && outputTokens === usage.outputTokens;
  if (!estimated && exact) return undefined;
  if (whole && usage && client?.answer.ended)
    return `${inputTokens}+${outputTokens} tokens${estimated ? ", estimated," : ""} instead of ${usage.inputTokens}+${usage.outputTokens}`;
  const { within = 0.5, tokens = (text: string) => text.length / 4 } = histories;
  const least = (client ? tokens(client.answer.text) : 0) * (1 - within) - 16;
  const most = tokens(answer.text) * (1 + within) + 16;
  const billed = outputTokens ?? 0;
  if (billed < least || billed > most)
    return `${billed} output tokens, where ${Math.max(0, Math.ceil(least))} to ${Math.floor(most)} are to be expected`;
  return billed > 0 && !estimated ? "estimated, but not flagged" : undefined;
}

/** I5: a clean end means the whole text of one upstream answer; anything else was told as an error, unless the client had left. */
export function checkEnding({ client, upstream, exchanges }: Joined, { crashed = false }: Histories): Violation[] {
  const { answer, call, left, status } = client;
  const add = (message: string): Violation[] => [{ invariant: "I5", message, call }];
  if (answer.ended && answer.error === undefined && status === 200) {
    if (exchanges.some(({ cached }) => cached)) return [];
    const whole = upstream.some((record) => record.answer.ended && record.answer.error === undefined && record.answer.text === answer.text);
    return whole ? [] : add("a clean end, but no upstream answer was whole and says the same");
  }
  if (status === 200 && answer.error === undefined && !left && !(crashed && broke(client))) return add("neither a clean end nor an error");
  return answer.ended && answer.error !== undefined && status === 200 ? add("an error, and a clean end after all") : [];
}

/** Whether the connection broke without a word, as it does when the gateway is killed. */
function broke({ answer, broken }: ClientCall): boolean {
  return broken && !answer.ended && answer.error === undefined;
}
