import { token } from "../di.ts";
import type { Usage } from "../dialects/canonical.ts";
import type { Target } from "../exchange.ts";
import type { ModelInfo } from "../provider.ts";

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
  models(): readonly CatalogueModel[];
  find(target: Target): CatalogueModel | undefined;
  /** Cost of `usage` in integer nano-dollars, or null when the price is not known. */
  cost(target: Target, usage: Usage): number | null;
  /** Refreshes every provider's list in the background, now and then hourly. */
  start(): void;
  stop(): void;
}

export const Catalogue = token<Catalogue>("catalogue");
