import type { Standing } from "./counters.ts";
import type { Limit } from "./limit-text.ts";

/** Names of the headers, by unit: the limit, what is left of it, and when all of it is there again. */
const OPENAI = namesOf((what, unit) => `x-ratelimit-${what}-${unit}`);
const ANTHROPIC = namesOf((what, unit) => `anthropic-ratelimit-${unit}-${what}`);

function namesOf(name: (what: string, unit: string) => string) {
  const of = (unit: string) => [name("limit", unit), name("remaining", unit), name("reset", unit)] as const;
  return [
    ["requests", of("requests")],
    ["tokens", of("tokens")],
  ] as const;
}

/**
 * Sets headers as clients of the dialect read them: for requests and for tokens the limit with the least left. OpenAI's
 * resets are durations (`6m0s`), Anthropic's are RFC 3339 times. `now` in epoch ms.
 */
export function setRateHeaders(
  headers: Map<string, string>,
  dialect: string,
  limits: readonly Limit[],
  standings: readonly Standing[],
  now: number,
): void {
  const anthropic = dialect === "anthropic-messages";
  for (const [unit, [limit, remaining, reset]] of anthropic ? ANTHROPIC : OPENAI) {
    let tightest = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < limits.length; at++) {
      const { unit: its, amount } = limits[at] as Limit;
      if (its !== unit) continue;
      const left = Math.max(0, amount - (standings[at] as Standing).used);
      if (left >= least) continue;
      least = left;
      tightest = at;
    }
    if (tightest < 0) continue;
    const { resetMs } = standings[tightest] as Standing;
    headers.set(limit, String((limits[tightest] as Limit).amount));
    headers.set(remaining, String(least));
    headers.set(reset, anthropic ? timeOf(now + resetMs) : duration(resetMs));
  }
}

function timeOf(ms: number): string {
  return new Date(Math.ceil(ms / 1000) * 1000).toISOString().replace(".000", "");
}

/** As OpenAI writes it: `6ms`, `1s`, `1m30s`, `2h0m0s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.ceil(ms))}ms`;
  const seconds = Math.ceil(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds % 60}s`;
}
