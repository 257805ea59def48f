import { z } from "zod";
import { didYouMean } from "../config/nearest.ts";
import { GatewayError } from "../errors.ts";
import type { Catalogue, CatalogueModel } from "../upstream/catalogue.ts";
import { type ApiRoute, apiRoute } from "./api.ts";

/** Input tokens reckoned with for each output token in a blended cost. */
const INPUT_PER_OUTPUT = 3;

const Count = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
  .meta({ title: "a whole number of 0 or more" });
const Dollars = z
  .string()
  .regex(/^\d{1,15}(\.\d{1,15})?$/)
  .transform(Number)
  .meta({ title: "a number of 0 or more" });

/**
 * `GET /api/models?provider=&supports_chat=&min_context=`: the models offered; and `GET /api/models/search?q=&max_cost=`:
 * those whose id, name or provider holds every word of `q`, cheap enough by `blended_cost`. Costs are dollars per million
 * tokens; one that is not known is null, and never passes `max_cost`. Order: providers as configured, models as listed.
 */
export function modelRoutes(catalogue: Catalogue): ApiRoute[] {
  return [
    apiRoute({
      method: "GET",
      path: "/api/models",
      access: "operator",
      summary: "The models offered",
      command: "models list",
      query: z.strictObject({
        provider: z.string().optional(),
        supports_chat: z.enum(["true", "false"]).meta({ title: "true or false" }).optional(),
        min_context: Count.optional(),
      }),
      handle({ query: { provider, supports_chat, min_context } }) {
        if (provider !== undefined) checkProvider(catalogue, provider);
        const chat = supports_chat && supports_chat === "true";
        return listed(
          catalogue
            .models()
            .filter(
              (model) =>
                (provider === undefined || model.provider === provider) &&
                (chat === undefined || (model.capabilities?.includes("chat") ?? false) === chat) &&
                (min_context === undefined || (model.contextLength ?? 0) >= min_context),
            ),
        );
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/models/search",
      access: "operator",
      summary: "The models whose id, name or provider holds every word of a text",
      command: "models search",
      query: z.strictObject({ q: z.string().max(200).optional(), max_cost: Dollars.optional() }),
      handle({ query: { q = "", max_cost } }) {
        const words = q.toLowerCase().split(/\s+/).filter(Boolean);
        return listed(
          catalogue.models().filter((model) => {
            const text = `${model.provider}/${model.id} ${model.name ?? ""}`.toLowerCase();
            const cost = blendedCost(model);
            return words.every((word) => text.includes(word)) && (max_cost === undefined || (cost !== null && cost <= max_cost));
          }),
        );
      },
    }),
  ];
}

/** The body of `GET /v1/models` in OpenAI's list shape: aliases first, then every `provider/model`. */
export function openAiModelList(catalogue: Catalogue) {
  // OpenAI's type wants Unix seconds; when a model was made is not known here.
  const entry = (id: string, owner: string) => ({ id, object: "model" as const, created: 0, owned_by: owner });
  return {
    object: "list" as const,
    data: [
      ...catalogue.aliases().map((alias) => entry(alias, "headgate")),
      ...catalogue.models().map(({ provider, id }) => entry(`${provider}/${id}`, provider)),
    ],
  };
}

function listed(models: readonly CatalogueModel[]) {
  return { body: { object: "list", cost_unit: "usd_per_million_tokens", data: models.map(shown) } };
}

function shown(model: CatalogueModel) {
  return {
    id: `${model.provider}/${model.id}`,
    provider: model.provider,
    name: model.name ?? model.id,
    context_length: model.contextLength ?? null,
    max_output: model.maxOutput ?? null,
    input_cost: model.price ? dollarsPerMillion(model.price.input) : null,
    output_cost: model.price ? dollarsPerMillion(model.price.output) : null,
    blended_cost: blendedCost(model),
    tier: model.tier ?? null,
    capabilities: model.capabilities ?? [],
  };
}

/** Three parts input to one part output, a common mix for comparing models. */
function blendedCost({ price }: CatalogueModel): number | null {
  return price ? dollarsPerMillion((INPUT_PER_OUTPUT * price.input + price.output) / (INPUT_PER_OUTPUT + 1)) : null;
}

/** From nano-dollars per token; rounded where binary fractions would show. */
function dollarsPerMillion(nanoPerToken: number): number {
  return Number((nanoPerToken / 1_000).toFixed(9));
}

function checkProvider(catalogue: Catalogue, value: string): void {
  const providers = catalogue.providers();
  if (providers.includes(value)) return;
  const hint = didYouMean(value.slice(0, 80), providers) ?? `known are ${providers.join(", ")}`;
  const message = `There is no provider ${JSON.stringify(value.slice(0, 80))}; ${hint}`;
  throw new GatewayError("invalid_request", { param: "provider", message });
}
