import { createRequire } from "node:module";
import type { ModelInfo } from "../provider.ts";
import { listedPrice, type Rates, ratesFromTable } from "./prices.ts";

type Prices = typeof import("@pydantic/genai-prices");
type PricedModel = NonNullable<ReturnType<Prices["findProvider"]>>["models"][number];

/** What the price catalogue says of one model. */
interface PricedEntry {
  readonly info: ModelInfo;
  readonly rates: Rates;
}

/**
 * The catalogue of @pydantic/genai-prices: prices with history, tiers and times of day, names and context windows. It takes
 * some 45 ms to load, so it is loaded when first asked, and never for a gateway whose providers need no catalogue.
 */
export class PriceBook {
  #prices: Prices | undefined;

  #load(): Prices {
    this.#prices ??= createRequire(import.meta.url)("@pydantic/genai-prices") as Prices;
    return this.#prices;
  }

  /** The entry whose rules match a provider's model id, at its price of that moment. `priceId` has to be exact. */
  lookUp(priceId: string, model: string, now: Date): PricedEntry | undefined {
    return this.#provider(priceId) && this.#calculate(model, { providerId: priceId, timestamp: now });
  }

  /** Everything listed for a provider under an id that can be asked for; entries that only stand for a family are left out. */
  list(priceId: string, now: Date): PricedEntry[] {
    const provider = this.#provider(priceId);
    if (!provider) return [];
    // A provider cut down to the one model spares looking for it among all.
    return provider.models.flatMap(
      (model) => this.#calculate(model.id, { provider: { ...provider, models: [model] }, timestamp: now }) ?? [],
    );
  }

  #provider(priceId: string) {
    // The library would also take a name that only contains a provider's, such as a proxy's.
    const provider = this.#load().findProvider({ providerId: priceId });
    return provider?.id === priceId ? provider : undefined;
  }

  #calculate(model: string, options: Parameters<Prices["calcPrice"]>[2]): PricedEntry | undefined {
    try {
      const found = this.#load().calcPrice({}, model, options);
      if (!found) return undefined;
      const rates = ratesFromTable(found.model_price);
      return { info: infoOf(found.model, rates), rates };
    } catch {
      // It throws on a table it cannot make sense of: the price is not known.
      return undefined;
    }
  }
}

function infoOf({ id, name, context_window }: PricedModel, rates: Rates): ModelInfo {
  const price = listedPrice(rates);
  return { id, ...(name && { name }), ...(context_window && { contextLength: context_window }), ...(price && { price }) };
}
