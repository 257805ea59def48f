import type { Standing } from "./counters.ts";
import type { Limit } from "./limit-text.ts";

/** A limit and how it stands for this caller. */
interface Shown extends Standing {
  readonly limit: Limit;
}

/**
 * Headers as clients of the dialect read them: for requests and for tokens the limit with the least left. OpenAI's resets
 * are durations (`6m0s`), Anthropic's are RFC 3339 times. `now` in epoch ms.
 */
export function rateHeaders(
  dialect: string,
  limits: readonly Limit[],
  standings: readonly Standing[],
  now: number,
): [name: string, value: string][] {
  const headers: [string, string][] = [];
  for (const unit of ["requests", "tokens"] as const) {
    let tightest: Shown | undefined;
    for (let at = 0; at < limits.length; at++) {
      const limit = limits[at] as Limit;
      if (limit.unit !== unit) continue;
      const shown = { limit, ...(standings[at] as Standing) };
      if (!tightest || left(shown) < left(tightest)) tightest = shown;
    }
    if (!tightest) continue;
    const { limit, resetMs } = tightest;
    const [most, remaining] = [String(limit.amount), String(left(tightest))];
    if (dialect === "anthropic-messages") {
      const name = `anthropic-ratelimit-${unit}`;
      const reset = new Date(Math.ceil((now + resetMs) / 1000) * 1000).toISOString().replace(".000", "");
      headers.push([`${name}-limit`, most], [`${name}-remaining`, remaining], [`${name}-reset`, reset]);
    } else {
      headers.push([`x-ratelimit-limit-${unit}`, most], [`x-ratelimit-remaining-${unit}`, remaining]);
      headers.push([`x-ratelimit-reset-${unit}`, duration(resetMs)]);
    }
  }
  return headers;
}

function left({ limit, used }: Shown): number {
  return Math.max(0, limit.amount - used);
}

/** As OpenAI writes it: `6ms`, `1s`, `1m30s`, `2h0m0s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.ceil(ms))}ms`;
  const seconds = Math.ceil(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds % 60}s`;
}
