import type { JsonObject, Usage, WireUsage } from "./canonical.ts";
import { isObject } from "./checks.ts";

/** More tokens than any call can use: a larger number is a provider's mistake. */
const TOKENS_LIMIT = 10_000_000;

/** A stated token count, or null when it is not one: missing, negative, fractional, no number, or absurdly large. */
export function tokenCount(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= TOKENS_LIMIT ? (value as number) : null;
}

/** Puts together what a provider stated; null without both totals. A part is never larger than its whole. */
export function statedUsage(stated: {
  input: number | null;
  output: number | null;
  cached?: number | null;
  cacheWrite?: number | null;
  reasoning?: number | null;
}): Usage | null {
  const { input, output } = stated;
  if (input === null || output === null) return null;
  const cachedTokens = Math.min(stated.cached ?? 0, input);
  return {
    inputTokens: input,
    outputTokens: output,
    cachedTokens,
    cacheWriteTokens: Math.min(stated.cacheWrite ?? 0, input - cachedTokens),
    reasoningTokens: Math.min(stated.reasoning ?? 0, output),
  };
}

/** Usage of a canonical (OpenAI-shaped) usage object. */
export function readWireUsage(value: unknown): Usage | null {
  if (!isObject(value)) return null;
  const input = isObject(value.prompt_tokens_details) ? value.prompt_tokens_details : {};
  const details = isObject(value.completion_tokens_details) ? value.completion_tokens_details : {};
  const prompt = tokenCount(value.prompt_tokens);
  return statedUsage({
    input: prompt,
    output: outputOf(value, prompt),
    cached: tokenCount(input.cached_tokens) ?? tokenCount(value.prompt_cache_hit_tokens),
    cacheWrite: tokenCount(input.cache_creation_tokens),
    reasoning: tokenCount(details.reasoning_tokens),
  });
}

/** Reasoning that a provider counts beside the completion shows in its total: xAI's, and Gemini's own OpenAI layer's, which states it nowhere else. */
function outputOf(value: JsonObject, prompt: number | null): number | null {
  // An embedding has no output to state.
  if (value.completion_tokens === undefined) return 0;
  const output = tokenCount(value.completion_tokens);
  const total = tokenCount(value.total_tokens);
  return prompt === null || output === null || total === null ? output : Math.max(output, total - prompt);
}

/** A stated usage object with its totals set right and its details as they came; undefined when it is nonsense. */
export function tidyWireUsage(value: unknown): WireUsage | undefined {
  const usage = readWireUsage(value);
  if (usage === null || !isObject(value)) return undefined;
  return {
    ...value,
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
}

/** A later statement over an earlier one of the same stream: counts only ever grow, so with a smaller one neither can be relied on. */
export function latestUsage(earlier: Usage | null, later: Usage | null): Usage | null {
  if (earlier === null || later === null) return later ?? earlier;
  const shrunk = later.inputTokens < earlier.inputTokens || later.outputTokens < earlier.outputTokens;
  return {
    ...((earlier.uncertain || later.uncertain || shrunk) && { uncertain: true }),
    inputTokens: Math.max(earlier.inputTokens, later.inputTokens),
    outputTokens: Math.max(earlier.outputTokens, later.outputTokens),
    cachedTokens: Math.max(earlier.cachedTokens, later.cachedTokens),
    cacheWriteTokens: Math.max(earlier.cacheWriteTokens, later.cacheWriteTokens),
    reasoningTokens: Math.max(earlier.reasoningTokens, later.reasoningTokens),
  };
}

/** Usage as the canonical reply states it. */
export function writeWireUsage(usage: Usage): WireUsage {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    ...((usage.cachedTokens > 0 || usage.cacheWriteTokens > 0) && {
      prompt_tokens_details: {
        cached_tokens: usage.cachedTokens,
        ...(usage.cacheWriteTokens > 0 && { cache_creation_tokens: usage.cacheWriteTokens }),
      },
    }),
    ...(usage.reasoningTokens > 0 && { completion_tokens_details: { reasoning_tokens: usage.reasoningTokens } }),
  };
}
