import { env, type ProviderEntry } from "headgate";
import { anthropic, cohere, deepseek, gemini, groq, mistral, openai, openrouter, together, xai } from "headgate/providers";

const PROVIDERS = {
  OPENAI_API_KEY: openai,
  ANTHROPIC_API_KEY: anthropic,
  GEMINI_API_KEY: gemini,
  COHERE_API_KEY: cohere,
  MISTRAL_API_KEY: mistral,
  GROQ_API_KEY: groq,
  XAI_API_KEY: xai,
  DEEPSEEK_API_KEY: deepseek,
  OPENROUTER_API_KEY: openrouter,
  TOGETHER_API_KEY: together,
};

/** Every hosted provider whose usual key variable is set, under its own name. None when none is. */
export function providersFromEnv(): ProviderEntry[] {
  return Object.entries(PROVIDERS).flatMap(([variable, provider]) =>
    env.has(variable) ? [provider({ apiKey: env.secret(variable) })] : [],
  );
}
