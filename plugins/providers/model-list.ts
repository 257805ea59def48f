import type { Json, JsonObject, ModelInfo } from "headgate";

/** Readers of providers' model lists. What is missing or of the wrong kind is left out; a model without an id is skipped. */

/** `/models` as OpenAI answers it, with what compatible services add under names of their own. */
export function readOpenAiModels(body: JsonObject): ModelInfo[] {
  return objects(body.data).flatMap((model) => {
    const top = isObject(model.top_provider) ? model.top_provider : {};
    return described(text(model.id), {
      name: text(model.name) ?? text(model.display_name),
      contextLength: count(model.context_length, model.context_window, model.max_context_length, model.max_model_len),
      maxOutput: count(model.max_completion_tokens, top.max_completion_tokens),
      capabilities: openAiCapabilities(model),
    });
  });
}

/** Mistral's flags, OpenRouter's parameters and modalities. */
function openAiCapabilities(model: JsonObject): string[] {
  const flags = isObject(model.capabilities) ? model.capabilities : {};
  const architecture = isObject(model.architecture) ? model.architecture : {};
  const parameters = strings(model.supported_parameters);
  return [
    ...(flags.completion_chat === true || parameters.length > 0 ? ["chat"] : []),
    ...(flags.function_calling === true || parameters.includes("tools") ? ["tools"] : []),
    ...(flags.vision === true || strings(architecture.input_modalities).includes("image") ? ["vision"] : []),
    ...(parameters.includes("structured_outputs") ? ["json_schema"] : []),
    ...(flags.reasoning === true || parameters.includes("reasoning") ? ["reasoning"] : []),
  ];
}

/** Anthropic's `/v1/models`. */
export function readAnthropicModels(body: JsonObject): ModelInfo[] {
  return objects(body.data).flatMap((model) =>
    described(text(model.id), {
      name: text(model.display_name),
      contextLength: count(model.max_input_tokens),
      maxOutput: count(model.max_tokens),
      capabilities: ["chat"],
    }),
  );
}

/** Gemini's `/models`; ids lose their `models/`. */
export function readGeminiModels(body: JsonObject): ModelInfo[] {
  return objects(body.models).flatMap((model) => {
    const methods = strings(model.supportedGenerationMethods);
    return described(text(model.name)?.replace(/^models\//, ""), {
      name: text(model.displayName),
      contextLength: count(model.inputTokenLimit),
      maxOutput: count(model.outputTokenLimit),
      capabilities: [
        ...(methods.includes("generateContent") ? ["chat"] : []),
        ...(methods.includes("embedContent") ? ["embeddings"] : []),
        ...(model.thinking === true ? ["reasoning"] : []),
      ],
    });
  });
}

/** Cohere's `/v1/models`. */
export function readCohereModels(body: JsonObject): ModelInfo[] {
  return objects(body.models).flatMap((model) => {
    const endpoints = strings(model.endpoints);
    const features = strings(model.features);
    return described(text(model.name), {
      contextLength: count(model.context_length),
      capabilities: [
        ...(endpoints.includes("chat") ? ["chat"] : []),
        ...(endpoints.includes("embed") ? ["embeddings"] : []),
        ...["tools", "vision", "reasoning"].filter((feature) => features.includes(feature)),
      ],
    });
  });
}

interface Description {
  readonly name?: string | undefined;
  readonly contextLength?: number | undefined;
  readonly maxOutput?: number | undefined;
  readonly capabilities: readonly string[];
}

function described(id: string | undefined, { name, contextLength, maxOutput, capabilities }: Description): ModelInfo[] {
  if (!id) return [];
  return [
    {
      id,
      ...(name && { name }),
      ...(contextLength !== undefined && { contextLength }),
      ...(maxOutput !== undefined && { maxOutput }),
      ...(capabilities.length > 0 && { capabilities }),
    },
  ];
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function strings(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The first that is a positive whole number. */
function count(...values: (Json | undefined)[]): number | undefined {
  return values.find((value): value is number => Number.isSafeInteger(value) && (value as number) > 0);
}
