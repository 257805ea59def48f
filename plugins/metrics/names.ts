/**
 * OpenTelemetry's names for generative AI, semantic conventions v1.41.1
 * (https://github.com/open-telemetry/semantic-conventions/tree/v1.41.1/docs/gen-ai). They are still in development, so
 * they stand in this file alone.
 */

export const OPERATION = "gen_ai.operation.name";
export const PROVIDER = "gen_ai.provider.name";
export const REQUEST_MODEL = "gen_ai.request.model";
export const REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens";
export const REQUEST_TEMPERATURE = "gen_ai.request.temperature";
export const REQUEST_TOP_P = "gen_ai.request.top_p";
export const REQUEST_CHOICES = "gen_ai.request.choice.count";
export const RESPONSE_ID = "gen_ai.response.id";
export const RESPONSE_MODEL = "gen_ai.response.model";
export const RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons";
export const RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk";
export const USAGE_INPUT = "gen_ai.usage.input_tokens";
export const USAGE_OUTPUT = "gen_ai.usage.output_tokens";
export const USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens";
export const USAGE_CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens";
export const USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens";
export const TOKEN_TYPE = "gen_ai.token.type";
export const ERROR_TYPE = "error.type";
export const HTTP_STATUS = "http.response.status_code";

export const OPERATION_DURATION = "gen_ai.client.operation.duration";
export const TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk";
export const TOKEN_USAGE = "gen_ai.client.token.usage";

/** Bounds that the conventions advise, in seconds. */
export const DURATION_BUCKETS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/** Bounds that the conventions advise, in tokens. */
export const TOKEN_BUCKETS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

const WELL_KNOWN: ReadonlyMap<string, string> = new Map([
  ["azure", "azure.ai.openai"],
  ["bedrock", "aws.bedrock"],
  ["gemini", "gcp.gemini"],
  ["mistral", "mistral_ai"],
  ["vertex", "gcp.vertex_ai"],
  ["xai", "x_ai"],
]);

/** A provider's name in the config as the conventions spell it. */
export function providerName(name: string): string {
  return WELL_KNOWN.get(name) ?? name;
}
