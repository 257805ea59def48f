import type { ChatRequest } from "../dialects/canonical.ts";
import type { Target } from "../exchange.ts";
import type { Catalogue } from "./catalogue.ts";

/** Answers that a request asks for. */
export function choicesOf({ n, best_of }: ChatRequest & { readonly best_of?: number | null }): number {
  return Math.max(n ?? 1, best_of ?? 1);
}

/** The most output tokens that a request names for each choice, by either name, for a provider may heed the one or the other; undefined when it names none. */
export function askedOutput({ max_completion_tokens: newer, max_tokens: older }: ChatRequest): number | undefined {
  return Math.max(newer ?? 0, older ?? 0) || undefined;
}

/**
 * Most output tokens of a call, all choices together: what it asks for, else what its model gives as a rule (`usual`), and no
 * more than the model with the largest output can give, for the call may end at any of the targets. Bounded by no model as
 * soon as one is not known.
 */
export function outputBound(request: ChatRequest, targets: readonly Target[], catalogue: Pick<Catalogue, "find">, usual: number): number {
  const most = targets.map((target) => catalogue.find(target)?.maxOutput ?? Number.POSITIVE_INFINITY);
  return Math.min(askedOutput(request) ?? usual, most.length > 0 ? Math.max(...most) : Number.POSITIVE_INFINITY) * choicesOf(request);
}
