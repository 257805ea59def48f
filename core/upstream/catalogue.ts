import { token } from "../di.ts";
import type { JsonObject, Usage } from "../dialects/canonical.ts";
import { GatewayError } from "../errors.ts";
import type { Target } from "../exchange.ts";
import type { ModelInfo, Provider } from "../provider.ts";
import type { Clock, Timer } from "../services/clock.ts";
import type { Logger } from "../services/logger.ts";
import type { Random } from "../services/random.ts";
import { type Listing, ModelIndex } from "./model-index.ts";
import { LONGEST_ID, ModelLists } from "./model-lists.ts";
import { PriceBook } from "./price-book.ts";
import { costOf, type DollarPrice, type Rates, ratesFromDollars, ratesFromModel } from "./prices.ts";
import { similarName } from "./similar-names.ts";

/** A model as `/api/models` and `/v1/models` list it. */
export interface CatalogueModel extends ModelInfo {
  readonly provider: string;
}

/** Which models there are, what their names mean and what they cost. */
export interface Catalogue {
  /**
   * The targets behind an alias, a `provider/model`, or a plain model id that some provider lists (first provider in
   * config order wins). Throws GatewayError `model_not_found` with the nearest known name.
   */
  resolve(name: string): readonly Target[];
  /** Aliases, in config order. */
  aliases(): readonly string[];
  /** Names of the providers, in config order. */
  providers(): readonly string[];
  /** Everything listed, by provider in config order. */
  models(): readonly CatalogueModel[];
  find(target: Target): CatalogueModel | undefined;
  /** Cost of `usage` in integer nano-dollars, or null when the price is not known. */
  cost(target: Target, usage: Usage): number | null;
  /** Refreshes every provider's list in the background, now and then hourly. */
  start(): void;
  stop(): void;
}

export interface CatalogueOptions {
  /** In config order. */
  readonly providers: readonly Provider[];
  /** Alias -> one target or several, best first: each `provider/model` or a plain model id. */
  readonly aliases: Readonly<Record<string, string | readonly string[]>>;
  /** `provider/model` -> dollars per million tokens. Wins over what a provider or the price catalogue says. */
  readonly prices: Readonly<Record<string, DollarPrice>>;
  /** Fetches a provider's own list of models, as JSON. */
  readonly http: (provider: Provider, path: string) => Promise<JsonObject>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Spreads the hourly refreshes. */
  readonly random?: Random;
}

/** Prices and lists are read anew after this long, in ms: some prices depend on the time of day. */
const RATES_FRESH = 60_000;
const LISTS_FRESH = 3_600_000;
/** Most prices kept between two such readings. */
const RATES_KEPT = 5_000;
/** After the start, in ms: the price catalogue is loaded and the index built while nobody waits for them. */
const BUILD_AFTER = 1_000;

/** Does no I/O until it is started. */
export function createCatalogue(options: CatalogueOptions): Catalogue {
  return new ProviderCatalogue(options);
}

class ProviderCatalogue implements Catalogue {
  readonly #listings: ReadonlyMap<string, Listing>;
  readonly #aliases: ReadonlyMap<string, readonly string[]>;
  readonly #overlay: ReadonlyMap<string, Rates>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #lists: ModelLists;
  readonly #book = new PriceBook();
  /** By model, within each provider. */
  readonly #rates = new Map<string, Map<string, Rates | undefined>>();
  #ratesKept = 0;
  /** Several ask it of the same call, one right after the other. */
  #lastCost: { readonly provider: string; readonly model: string; readonly usage: Usage; readonly cost: number | null } | undefined;
  readonly #aliasTargets = new Map<string, readonly Target[]>();
  #ratesReadAt = 0;
  #index: { readonly builtAt: number; readonly value: ModelIndex } | undefined;
  #building: Timer | undefined;

  constructor({ providers, aliases, prices, http, clock, logger, random }: CatalogueOptions) {
    this.#listings = new Map(providers.map((provider) => [provider.name, listingOf(provider)]));
    this.#aliases = new Map(Object.entries(aliases).map(([alias, targets]) => [alias, typeof targets === "string" ? [targets] : targets]));
    this.#overlay = new Map(Object.entries(prices).map(([name, price]) => [name, ratesFromDollars(price)]));
    this.#clock = clock;
    this.#logger = logger;
    this.#lists = new ModelLists({ http, clock, logger, random, onList: (provider, models) => this.#learn(provider, models) });
  }

  resolve(name: string): readonly Target[] {
    const known = this.#aliasTargets.get(name);
    if (known) return known;
    const entries = this.#aliases.get(name);
    const targets = entries ? this.#resolveAlias(name, entries) : this.#target(name);
    if (targets.length === 0) throw this.#notFound(name);
    return targets;
  }

  aliases(): readonly string[] {
    return [...this.#aliases.keys()];
  }

  providers(): readonly string[] {
    return [...this.#listings.keys()];
  }

  models(): readonly CatalogueModel[] {
    return this.#models().list;
  }

  find({ provider, model }: Target): CatalogueModel | undefined {
    return this.#models().find(provider, model);
  }

  cost(target: Target, usage: Usage): number | null {
    this.#refreshRates();
    const last = this.#lastCost;
    if (last?.provider === target.provider && last.model === target.model && isSame(last.usage, usage)) return last.cost;
    const rates = this.#ratesOf(target);
    const cost = rates ? costOf(rates, usage) : null;
    this.#lastCost = { provider: target.provider, model: target.model, usage: { ...usage }, cost };
    return cost;
  }

  start(): void {
    const listings = [...this.#listings.values()];
    this.#lists.start(listings.map(({ provider }) => provider));
    if (listings.some(({ closed }) => !closed)) this.#building = this.#clock.timer(BUILD_AFTER, () => void this.#models());
  }

  stop(): void {
    this.#building?.cancel();
    this.#lists.stop();
  }

  #learn(provider: Provider, models: readonly ModelInfo[]): void {
    const listing = this.#listings.get(provider.name);
    if (!listing) return;
    listing.discovered = models;
    listing.own = ownModels(provider, models);
    this.#index = undefined;
    this.#aliasTargets.clear();
    this.#forgetRates();
  }

  #models(): ModelIndex {
    const now = this.#clock.monotonic();
    if (!this.#index || now - this.#index.builtAt > LISTS_FRESH) {
      const value = new ModelIndex([...this.#listings.values()], this.#book, this.#overlay, this.#clock.now());
      this.#index = { builtAt: now, value };
    }
    return this.#index.value;
  }

  #resolveAlias(alias: string, entries: readonly string[]): readonly Target[] {
    const targets = entries.flatMap((entry) => {
      const found = this.#target(entry);
      if (found.length === 0) this.#logger.warn({ alias, target: entry }, "an alias names a model that no provider offers; leaving it out");
      return found;
    });
    this.#aliasTargets.set(alias, targets);
    return targets;
  }

  /** None or one. A model id may itself hold slashes, so a prefix counts only when it is a provider's name. */
  #target(name: string): readonly Target[] {
    const slash = name.indexOf("/");
    const listing = slash > 0 ? this.#listings.get(name.slice(0, slash)) : undefined;
    if (listing) {
      const model = name.slice(slash + 1);
      const offered = listing.closed ? listing.own.has(model) : model !== "" && model.length <= LONGEST_ID;
      if (offered) return [{ provider: listing.provider.name, model }];
    }
    return this.#models().byId(name);
  }

  #notFound(name: string): GatewayError {
    const near = name.length <= LONGEST_ID ? similarName(name, this.#names(name.includes("/"))) : undefined;
    const shown = JSON.stringify(name.length <= 80 ? name : `${name.slice(0, 80)}…`);
    const message = `There is no model ${shown}.${near === undefined ? "" : ` Did you mean "${near}"?`}`;
    return new GatewayError("model_not_found", { param: "model", message });
  }

  *#names(qualified: boolean): Iterable<string> {
    yield* this.#aliases.keys();
    for (const { provider, id } of this.#models().list) yield qualified ? `${provider}/${id}` : id;
  }

  #refreshRates(): void {
    const now = this.#clock.monotonic();
    if (now - this.#ratesReadAt <= RATES_FRESH && this.#ratesKept < RATES_KEPT) return;
    this.#forgetRates();
    this.#ratesReadAt = now;
  }

  #ratesOf({ provider, model }: Target): Rates | undefined {
    let kept = this.#rates.get(provider);
    const known = kept?.get(model);
    if (known || kept?.has(model)) return known;
    const rates = this.#readRates(provider, model);
    kept ??= new Map();
    this.#rates.set(provider, kept.set(model, rates));
    this.#ratesKept += 1;
    return rates;
  }

  #forgetRates(): void {
    this.#rates.clear();
    this.#ratesKept = 0;
    this.#lastCost = undefined;
  }

  #readRates(provider: string, model: string): Rates | undefined {
    const overlay = this.#overlay.get(`${provider}/${model}`);
    if (overlay) return overlay;
    const listing = this.#listings.get(provider);
    if (!listing) return undefined;
    const price = listing.own.get(model)?.price;
    return price ? ratesFromModel(price) : this.#book.lookUp(listing.priceId, model, this.#clock.now())?.rates;
  }
}

function isSame(a: Usage, b: Usage): boolean {
  return (
    a.inputTokens === b.inputTokens &&
    a.outputTokens === b.outputTokens &&
    a.cachedTokens === b.cachedTokens &&
    a.cacheWriteTokens === b.cacheWriteTokens
  );
}

/** A list that is fixed and cannot be asked for is taken to be complete. */
function listingOf(provider: Provider): Listing {
  const closed = provider.discovery === undefined && provider.models !== undefined && provider.models.length > 0;
  return { provider, closed, priceId: provider.priceId ?? provider.name, discovered: undefined, own: ownModels(provider, []) };
}

/** What is known beforehand adds to what the provider lists, field by field, and wins. */
function ownModels(provider: Provider, discovered: readonly ModelInfo[]): ReadonlyMap<string, ModelInfo> {
  const own = new Map(discovered.map((model) => [model.id, model]));
  for (const model of provider.models ?? []) own.set(model.id, { ...own.get(model.id), ...model });
  return own;
}

export const Catalogue = token<Catalogue>("catalogue");
