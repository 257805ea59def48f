import type { Usage } from "../dialects/canonical.ts";
import type { ModelInfo } from "../provider.ts";

/**
 * A rate in integer femtodollars (10⁻¹⁵ $) per token, fine enough for every printed price: a dollar per million tokens is
 * 10⁹. Above a threshold of input tokens the last tier passed applies to the whole call, as providers bill long contexts.
 */
interface Rate {
  readonly base: bigint;
  /** Ascending. */
  readonly tiers: readonly { readonly above: number; readonly rate: bigint }[];
}

/** What a model costs. Null: not known. */
export interface Rates {
  readonly input: Rate | null;
  readonly output: Rate | null;
  /** Absent: as other input. */
  readonly cachedInput?: Rate | undefined;
  /** Absent: as other input. */
  readonly cacheWrite?: Rate | undefined;
  /** Femtodollars for each call, whatever its size. */
  readonly call: bigint;
}

/** Dollars per million tokens, as people and providers write prices. */
export interface DollarPrice {
  readonly input: number;
  readonly output: number;
  readonly cachedInput?: number | undefined;
  readonly cacheWrite?: number | undefined;
}

const FEMTO_PER_NANO = 1_000_000n;
const FEMTO_PER_DOLLAR_A_MILLION = 1e9;

export function ratesFromDollars({ input, output, cachedInput, cacheWrite }: DollarPrice): Rates {
  return {
    input: flat(input),
    output: flat(output),
    cachedInput: cachedInput === undefined ? undefined : flat(cachedInput),
    cacheWrite: cacheWrite === undefined ? undefined : flat(cacheWrite),
    call: 0n,
  };
}

/** From nano-dollars per token, as a provider's own list states them. */
export function ratesFromModel(price: NonNullable<ModelInfo["price"]>): Rates {
  const dollars = (nano: number | undefined) => (nano === undefined ? undefined : nano / 1_000);
  return ratesFromDollars({
    input: price.input / 1_000,
    output: price.output / 1_000,
    cachedInput: dollars(price.cachedInput),
    cacheWrite: dollars(price.cacheWrite),
  });
}

/** What @pydantic/genai-prices calls a model's prices: dollars per million tokens (`_mtok`) or per thousand (`_kcount`). */
type PriceTable = Readonly<Record<string, number | { readonly base: number; readonly tiers: readonly Tier[] } | undefined>>;
interface Tier {
  readonly start: number;
  readonly price: number;
}

export function ratesFromTable(table: PriceTable): Rates {
  const rate = (key: string): Rate | undefined => {
    const price = table[key];
    if (price === undefined) return undefined;
    if (typeof price === "number") return flat(price);
    const tiers = price.tiers.map(({ start, price }) => ({ above: start, rate: femto(price) })).sort((a, b) => a.above - b.above);
    return { base: femto(price.base), tiers };
  };
  const perThousandCalls = table.requests_kcount;
  return {
    input: rate("input_mtok") ?? null,
    output: rate("output_mtok") ?? null,
    cachedInput: rate("cache_read_mtok"),
    cacheWrite: rate("cache_write_mtok"),
    call: typeof perThousandCalls === "number" ? femto(perThousandCalls) * 1_000n : 0n,
  };
}

/**
 * Cost of one call in integer nano-dollars: each component rounded half up on its own. Null when a component that was used
 * has no known price, or when the usage is not made of whole numbers.
 */
export function costOf(rates: Rates, usage: Usage): number | null {
  const { inputTokens, outputTokens, cachedTokens, cacheWriteTokens } = usage;
  if (!isCount(inputTokens) || !isCount(outputTokens) || !isCount(cachedTokens) || !isCount(cacheWriteTokens)) return null;
  const cached = Math.min(cachedTokens, inputTokens);
  const written = Math.min(cacheWriteTokens, inputTokens - cached);
  const plain = partOf(inputTokens - cached - written, rates.input, inputTokens);
  const read = partOf(cached, rates.cachedInput ?? rates.input, inputTokens);
  const wrote = partOf(written, rates.cacheWrite ?? rates.input, inputTokens);
  const output = partOf(outputTokens, rates.output, inputTokens);
  if (plain === null || read === null || wrote === null || output === null) return null;
  return toNano(rates.call) + plain + read + wrote + output;
}

/** The base rates in nano-dollars per token, for lists; absent unless input and output are known. */
export function listedPrice({ input, output, cachedInput, cacheWrite }: Rates): ModelInfo["price"] {
  if (!input || !output) return undefined;
  const nano = (rate: Rate) => Number(rate.base) / Number(FEMTO_PER_NANO);
  return {
    input: nano(input),
    output: nano(output),
    ...(cachedInput && { cachedInput: nano(cachedInput) }),
    ...(cacheWrite && { cacheWrite: nano(cacheWrite) }),
  };
}

function isCount(tokens: number): boolean {
  return Number.isSafeInteger(tokens) && tokens >= 0;
}

/** Nano-dollars of one component; null when it has no known price. Nearly always small enough for plain numbers, which are far cheaper than large ones. */
function partOf(tokens: number, rate: Rate | null, inputTokens: number): number | null {
  if (tokens === 0) return 0;
  if (rate === null) return null;
  const each = rateAt(rate, inputTokens);
  const femto = tokens * Number(each);
  return femto <= Number.MAX_SAFE_INTEGER ? roundHalfUp(femto) : toNano(BigInt(tokens) * each);
}

function rateAt(rate: Rate, inputTokens: number): bigint {
  if (rate.tiers.length === 0) return rate.base;
  return rate.tiers.findLast(({ above }) => inputTokens > above)?.rate ?? rate.base;
}

function flat(dollarsPerMillion: number): Rate {
  return { base: femto(dollarsPerMillion), tiers: [] };
}

function femto(dollarsPerMillion: number): bigint {
  return BigInt(Math.round(dollarsPerMillion * FEMTO_PER_DOLLAR_A_MILLION));
}

function toNano(femtodollars: bigint): number {
  return Number((femtodollars + FEMTO_PER_NANO / 2n) / FEMTO_PER_NANO);
}

/** As {@link toNano}. Not by a remainder, for which a division of large numbers is looped; the products are exact. */
function roundHalfUp(femtodollars: number): number {
  let nano = Math.floor(femtodollars / 1_000_000);
  // The quotient may have been rounded up to a whole number.
  if (nano * 1_000_000 > femtodollars) nano -= 1;
  return femtodollars - nano * 1_000_000 >= 500_000 ? nano + 1 : nano;
}
