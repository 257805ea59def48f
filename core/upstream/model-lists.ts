import type { JsonObject } from "../dialects/canonical.ts";
import type { ModelInfo, Provider } from "../provider.ts";
import type { Clock, Timer } from "../services/clock.ts";
import { within } from "../services/deadline.ts";
import type { Logger } from "../services/logger.ts";
import type { Random } from "../services/random.ts";

/** Most models kept of one provider, and longest id. */
const MODELS = 5_000;
export const LONGEST_ID = 200;
const DEADLINE = 5_000;
const HOUR = 3_600_000;
/** After a failure: a minute, then twice as long each time, up to an hour. */
const FIRST_RETRY = 60_000;
/** A refresh comes up to this share sooner, so that instances started together do not ask together. */
const JITTER = 0.1;

interface Options {
  /** Fetches a provider's own list. */
  readonly http: (provider: Provider, path: string) => Promise<JsonObject>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random | undefined;
  /** Told each list that came. */
  readonly onList: (provider: Provider, models: readonly ModelInfo[]) => void;
}

/** Keeps the providers' own model lists fresh, in the background. A failure keeps the old list and is logged once until it is over. */
export class ModelLists {
  readonly #options: Options;
  readonly #timers = new Map<Provider, Timer>();
  #running = false;

  constructor(options: Options) {
    this.#options = options;
  }

  start(providers: Iterable<Provider>): void {
    this.#running = true;
    for (const provider of providers) if (provider.discovery) void this.#refresh(provider, provider.discovery, 0);
  }

  stop(): void {
    this.#running = false;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  async #refresh(provider: Provider, discovery: NonNullable<Provider["discovery"]>, failures: number): Promise<void> {
    const { http, clock, logger, onList } = this.#options;
    let failed = 0;
    try {
      const body = await within(clock, DEADLINE, http(provider, discovery.path));
      const models = cleanList(discovery.read(body));
      if (this.#running) onList(provider, models);
    } catch (error) {
      failed = failures + 1;
      if (this.#running && failed === 1)
        logger.warn({ err: error, provider: provider.name }, "a provider's model list could not be refreshed");
    }
    if (!this.#running) return;
    const wait = failed === 0 ? HOUR : Math.min(HOUR, FIRST_RETRY * 2 ** (failed - 1));
    const early = 1 - JITTER * (this.#options.random?.next() ?? 0);
    this.#timers.set(
      provider,
      clock.timer(wait * early, () => void this.#refresh(provider, discovery, failed)),
    );
  }
}

/** What of a list can be believed: it came over the network. The first of equal ids wins. */
function cleanList(models: readonly ModelInfo[]): ModelInfo[] {
  const clean = new Map<string, ModelInfo>();
  for (const model of models) {
    if (clean.size === MODELS) break;
    if (isId(model?.id) && !clean.has(model.id)) clean.set(model.id, cleanModel(model));
  }
  return [...clean.values()];
}

function cleanModel({ id, name, contextLength, maxOutput, price, capabilities, tier }: ModelInfo): ModelInfo {
  return {
    id,
    ...(isId(name) && { name }),
    ...(isSize(contextLength) && { contextLength }),
    ...(isSize(maxOutput) && { maxOutput }),
    ...(price && Object.values(price).every(isPrice) && isPrice(price.input) && isPrice(price.output) && { price: { ...price } }),
    ...(Array.isArray(capabilities) && { capabilities: capabilities.filter(isId).slice(0, 32) }),
    ...(isId(tier) && { tier }),
  };
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= LONGEST_ID && !/\p{Cc}/u.test(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** Nano-dollars per token, up to a dollar for one. */
function isPrice(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 1e9;
}
