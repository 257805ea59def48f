import type { Target } from "../exchange.ts";
import type { ModelInfo, Provider } from "../provider.ts";
import type { CatalogueModel } from "./catalogue.ts";
import type { PriceBook } from "./price-book.ts";
import { listedPrice, type Rates } from "./prices.ts";

/** What is known of one provider's models. */
export interface Listing {
  readonly provider: Provider;
  /** Its own list is complete: what is not in it is not offered. */
  readonly closed: boolean;
  /** Its id in the price catalogue. */
  readonly priceId: string;
  /** Its own list as last fetched; undefined until one came. */
  discovered: readonly ModelInfo[] | undefined;
  /** `discovered` and what was known beforehand, by id. */
  own: ReadonlyMap<string, ModelInfo>;
}

/** Most models of one provider that are looked up in the price catalogue for a list; some 0.05 ms each. */
const LOOK_UPS = 1_000;

/** All models, merged from what providers list and what the price catalogue knows. Built anew when either changes. */
export class ModelIndex {
  readonly list: readonly CatalogueModel[];
  readonly #byProvider: ReadonlyMap<string, ReadonlyMap<string, CatalogueModel>>;
  readonly #byId = new Map<string, readonly Target[]>();

  constructor(listings: readonly Listing[], book: PriceBook, overlay: ReadonlyMap<string, Rates>, now: Date) {
    const models = listings.map((listing) => mergedModels(listing, book, overlay, now));
    this.list = models.flat();
    this.#byProvider = new Map(
      listings.map(({ provider }, index) => [provider.name, new Map((models[index] ?? []).map((model) => [model.id, model]))]),
    );
    for (const { provider, id } of this.list) if (!this.#byId.has(id)) this.#byId.set(id, [{ provider, model: id }]);
  }

  find(provider: string, id: string): CatalogueModel | undefined {
    return this.#byProvider.get(provider)?.get(id);
  }

  /** The target at the first provider that lists this id, alone in an array; or an empty one. */
  byId(id: string): readonly Target[] {
    return this.#byId.get(id) ?? [];
  }
}

function mergedModels(listing: Listing, book: PriceBook, overlay: ReadonlyMap<string, Rates>, now: Date): CatalogueModel[] {
  const provider = listing.provider.name;
  const models = new Map<string, ModelInfo>();
  let lookUps = 0;
  for (const [id, own] of listing.own) {
    const complete = own.price !== undefined && own.contextLength !== undefined;
    const known = complete || lookUps++ >= LOOK_UPS ? undefined : book.lookUp(listing.priceId, id, now)?.info;
    models.set(id, { ...known, ...own });
  }
  if (!listing.closed && !listing.discovered) {
    for (const { info } of book.list(listing.priceId, now)) if (!models.has(info.id)) models.set(info.id, info);
  }
  return [...models.values()].map((model) => {
    const rates = overlay.get(`${provider}/${model.id}`);
    const price = rates ? listedPrice(rates) : model.price;
    return { ...model, ...(price && { price }), capabilities: model.capabilities ?? likelyCapabilities(model.id), provider };
  });
}

/** From the name alone, for models of which nobody says what they can do. */
function likelyCapabilities(id: string): readonly string[] {
  if (/embed|(^|[-/])(bge|gte|e5)-/i.test(id)) return ["embeddings"];
  return /whisper|transcribe|tts|speech|audio|realtime|dall-e|imag|video|sora|veo|rerank|moderation|ocr|guard/i.test(id) ? [] : ["chat"];
}
