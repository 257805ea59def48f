import { didYouMean } from "../config/nearest.ts";
import { GatewayError } from "../errors.ts";
import type { Catalogue, CatalogueModel } from "../upstream/catalogue.ts";
import type { ApiRoute } from "./api.ts";

/** Input tokens reckoned with for each output token in a blended cost. */
const INPUT_PER_OUTPUT = 3;

/**
 * `GET /api/models?provider=&supports_chat=&min_context=`: the models offered; and `GET /api/models/search?q=&max_cost=`:
 * those whose id, name or provider holds every word of `q`, cheap enough by `blended_cost`. Costs are dollars per million
 * tokens; one that is not known is null, and never passes `max_cost`. Order: providers as configured, models as listed.
 */
export function modelRoutes(catalogue: Catalogue): ApiRoute[] {
  return [
    {
      method: "GET",
      path: "/api/models",
      access: "operator",
      handle: ({ query }) => {
        const read = reader(query, ["provider", "supports_chat", "min_context"]);
        const provider = read("provider", (value) => knownProvider(catalogue, value));
        const chat = read("supports_chat", (value) => booleanOf("supports_chat", value));
        const context = read("min_context", (value) => numberOf("min_context", value, true));
        return listed(
          catalogue
            .models()
            .filter(
              (model) =>
                (provider === undefined || model.provider === provider) &&
                (chat === undefined || (model.capabilities?.includes("chat") ?? false) === chat) &&
                (context === undefined || (model.contextLength ?? 0) >= context),
            ),
        );
      },
    },
    {
      method: "GET",
      path: "/api/models/search",
      access: "operator",
      handle: ({ query }) => {
        const read = reader(query, ["q", "max_cost"]);
        const words = read("q", (value) => value.toLowerCase().split(/\s+/).filter(Boolean)) ?? [];
        const most = read("max_cost", (value) => numberOf("max_cost", value, false));
        return listed(
          catalogue.models().filter((model) => {
            const text = `${model.provider}/${model.id} ${model.name ?? ""}`.toLowerCase();
            const cost = blendedCost(model);
            return words.every((word) => text.includes(word)) && (most === undefined || (cost !== null && cost <= most));
          }),
        );
      },
    },
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

/** Reads parameters by name; refuses the query as a whole when it holds others, or one twice. */
function reader<Name extends string>(query: URLSearchParams, names: readonly Name[]) {
  for (const key of new Set(query.keys())) {
    if (!(names as readonly string[]).includes(key)) {
      const hint = didYouMean(key.slice(0, 80), names) ?? `known are ${names.join(", ")}`;
      throw invalid(key, `There is no query parameter ${JSON.stringify(key.slice(0, 80))}; ${hint}`);
    }
    if (query.getAll(key).length > 1) throw invalid(key, `The query parameter "${key}" is given more than once.`);
  }
  return <T>(name: Name, parse: (value: string) => T): T | undefined => {
    const value = query.get(name);
    return value === null || value === "" ? undefined : parse(value);
  };
}

function knownProvider(catalogue: Catalogue, value: string): string {
  const providers = catalogue.providers();
  if (providers.includes(value)) return value;
  const hint = didYouMean(value.slice(0, 80), providers) ?? `known are ${providers.join(", ")}`;
  throw invalid("provider", `There is no provider ${JSON.stringify(value.slice(0, 80))}; ${hint}`);
}

function booleanOf(name: string, value: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw invalid(name, `The query parameter "${name}" is true or false.`);
}

function numberOf(name: string, value: string, whole: boolean): number {
  const number = /^\d{1,15}(\.\d{1,15})?$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isNaN(number) || (whole && !Number.isInteger(number))) {
    throw invalid(name, `The query parameter "${name}" is a ${whole ? "whole " : ""}number of 0 or more.`);
  }
  return number;
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", { param: param.slice(0, 80), message });
}
