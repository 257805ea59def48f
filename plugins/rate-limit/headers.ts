import type { Limit } from "./limit-text.ts";

/** A limit and how it stands for this caller. */
export interface Shown {
  readonly limit: Limit;
  readonly used: number;
  readonly resetMs: number;
}

/**
 * Headers as clients of the dialect read them: for requests and for tokens the limit with the least left. OpenAI's resets
 * are durations (`6m0s`), Anthropic's are RFC 3339 times. `now` in epoch ms.
 */
export function rateHeaders(dialect: string, shown: readonly Shown[], now: number): [name: string, value: string][] {
  return (["requests", "tokens"] as const).flatMap((unit) => {
    const tightest = shown
      .filter(({ limit }) => limit.unit === unit)
      .reduce<Shown | undefined>((least, each) => (least && left(least) <= left(each) ? least : each), undefined);
    if (!tightest) return [];
    const { limit, resetMs } = tightest;
    const values = [String(limit.amount), String(left(tightest))] as const;
    if (dialect === "anthropic-messages") {
      const name = `anthropic-ratelimit-${unit}`;
      const reset = new Date(Math.ceil((now + resetMs) / 1000) * 1000).toISOString().replace(".000", "");
      return [
        [`${name}-limit`, values[0]],
        [`${name}-remaining`, values[1]],
        [`${name}-reset`, reset],
      ];
    }
    return [
      [`x-ratelimit-limit-${unit}`, values[0]],
      [`x-ratelimit-remaining-${unit}`, values[1]],
      [`x-ratelimit-reset-${unit}`, duration(resetMs)],
    ];
  });
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
