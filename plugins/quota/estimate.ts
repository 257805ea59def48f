import type { Catalogue, ChatRequest, EmbeddingsRequest, Exchange, Target, Tokens } from "headgate";
import type { Unit } from "./limit-text.ts";
import type { QuotaOptions } from "./options.ts";

/** What a call may need at most. */
export interface Estimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Most tokens that one image or document costs at the providers known. */
const PER_FILE = 3_000;
/** Bytes of a base64 document for which one more token is set aside; a page of text is some 50 kB and 1,500 tokens. */
const FILE_BYTES_PER_TOKEN = 30;
/** What the format adds to a message, a tool or a field. */
const PER_NODE = 4;

/**
 * Tokens that a request's input cannot exceed: no encoding in use makes more tokens than a text has bytes. Four times
 * too much for usual prose, but it costs next to nothing, and it is held only until the call has ended.
 */
export function inputBound(value: unknown): number {
  if (typeof value === "string") {
    if (value.startsWith("data:")) return PER_FILE + Math.ceil(value.length / FILE_BYTES_PER_TOKEN);
    return Buffer.byteLength(value) + PER_NODE;
  }
  if (typeof value !== "object" || value === null) return PER_NODE;
  let sum = PER_NODE;
  if (Array.isArray(value)) {
    for (const item of value) sum += inputBound(item);
    return sum;
  }
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    // A link to an image says nothing of its size.
    sum += key === "image_url" || key === "url" ? PER_FILE + inputBound(item) : key.length + inputBound(item);
  }
  return sum;
}

/** Input as the tokenizer counts it; where that had to guess, twice as much, which is its bound. */
export function countedInput(exchange: Exchange, tokens: Tokens): number {
  if (exchange.operation !== "chat") return inputBound((exchange.request as EmbeddingsRequest).input);
  const { tokens: count, estimated } = tokens.request(exchange.request as ChatRequest);
  return estimated ? count * 2 : count + PER_NODE;
}

/** Nano-dollars of an estimate at the dearest of the targets; null when one has no known price. */
export function costBound(
  { inputTokens, outputTokens }: Estimate,
  targets: readonly Target[],
  catalogue: Catalogue,
  unknownPrice: QuotaOptions["unknownPrice"],
): number | null {
  let most = 0;
  for (const target of targets) {
    const plain = { inputTokens, outputTokens, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
    const cost = costOf(plain, target, catalogue, unknownPrice);
    // Writing a provider's cache may cost more than plain input.
    const writing = costOf({ ...plain, cacheWriteTokens: inputTokens }, target, catalogue, unknownPrice);
    if (cost === null || writing === null) return null;
    most = Math.max(most, cost, writing);
  }
  return most;
}

/** Nano-dollars of what was used, at the config's price where the catalogue has none; null when that has none either. */
export function costOf(
  usage: Parameters<Catalogue["cost"]>[1],
  target: Target,
  catalogue: Catalogue,
  unknownPrice: QuotaOptions["unknownPrice"],
): number | null {
  const known = catalogue.cost(target, usage);
  if (known !== null || unknownPrice === "refuse") return known;
  // Dollars per million tokens are thousands of nano-dollars per token.
  return Math.ceil((usage.inputTokens * unknownPrice.input + usage.outputTokens * unknownPrice.output) * 1_000);
}

/** The part of an estimate that a unit counts: a whole number, beyond every limit where the request's own numbers were no amount. */
export function needOf(unit: Unit, { inputTokens, outputTokens }: Estimate, cost: number): number {
  const need = unit === "requests" ? 1 : unit === "tokens" ? inputTokens + outputTokens : cost;
  return need >= 0 && need <= Number.MAX_SAFE_INTEGER ? Math.ceil(need) : Number.MAX_SAFE_INTEGER;
}
