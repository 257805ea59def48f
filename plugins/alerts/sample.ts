import type { Catalogue, Exchange, Outcome } from "headgate";
import type { Sample } from "./health-window.ts";

/** What a call says about the gateway's health. `now` is monotonic ms. */
export function sampleOf(exchange: Exchange, { kind }: Outcome, catalogue: Catalogue, now: number): Sample {
  let cost = 0;
  for (const { target, usage } of exchange.attempts) if (usage) cost += catalogue.cost(target, usage) ?? 0;
  // Refused by policy, or left by its client: neither tells how well things work.
  if (kind === "refused" || kind === "cancelled") return { failed: null, latencyMs: null, cost };
  if (kind === "failed") return { failed: true, latencyMs: null, cost };
  const answeredAt = exchange.attempts.at(-1)?.firstContentAt ?? now;
  return { failed: kind === "cut", latencyMs: answeredAt - exchange.startedAt, cost };
}
