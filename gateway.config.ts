// What `npm start` runs. Edit it freely: `npm run headgate -- dev` swaps in each save while it serves, and
// `npm run headgate -- check` shows what the gateway will do with a request.
import { defineGateway, env } from "headgate";
import { metrics } from "headgate/plugins";
import { anthropic, cohere, deepseek, gemini, groq, mistral, openai, openrouter, simulator, together, xai } from "headgate/providers";

const hasOpenAI = env.has("OPENAI_API_KEY");
const hasAnthropic = env.has("ANTHROPIC_API_KEY");

export default defineGateway({
  server: {
    port: env.int("PORT", 8787),
    host: env("HOST", "127.0.0.1"),
  },

  // Who answers. The simulator needs no key and no network; each real provider joins once its key is in the environment.
  providers: [
    simulator(),
    hasOpenAI && openai({ apiKey: env.secret("OPENAI_API_KEY") }),
    hasAnthropic && anthropic({ apiKey: env.secret("ANTHROPIC_API_KEY") }),
    env.has("GEMINI_API_KEY") && gemini({ apiKey: env.secret("GEMINI_API_KEY") }),
    env.has("COHERE_API_KEY") && cohere({ apiKey: env.secret("COHERE_API_KEY") }),
    env.has("MISTRAL_API_KEY") && mistral({ apiKey: env.secret("MISTRAL_API_KEY") }),
    env.has("GROQ_API_KEY") && groq({ apiKey: env.secret("GROQ_API_KEY") }),
    env.has("XAI_API_KEY") && xai({ apiKey: env.secret("XAI_API_KEY") }),
    env.has("DEEPSEEK_API_KEY") && deepseek({ apiKey: env.secret("DEEPSEEK_API_KEY") }),
    env.has("OPENROUTER_API_KEY") && openrouter({ apiKey: env.secret("OPENROUTER_API_KEY") }),
    env.has("TOGETHER_API_KEY") && together({ apiKey: env.secret("TOGETHER_API_KEY") }),
  ],

  // Names of your own for models. Clients may also ask for "provider/model", or for a model by its plain name.
  models: {
    fast: (hasOpenAI && "openai/gpt-5.4-mini") || (hasAnthropic && "anthropic/claude-haiku-4-5") || "simulator/sim-small",
    smart: (hasAnthropic && "anthropic/claude-sonnet-5") || (hasOpenAI && "openai/gpt-5.5") || "simulator/sim-large",
  },

  // What happens to every request, outermost first.
  plugins: [metrics()],
});
