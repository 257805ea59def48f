// What `npm start` runs. Edit it freely: `npm run headgate -- dev` swaps in each save while it serves, and
// `npm run headgate -- check` shows what the gateway will do with a request.
import { defineGateway, env } from "headgate";
import { alerts, audit, auth, idempotency, metrics, quota, rateLimit, usage } from "headgate/plugins";
import { providersFromEnv } from "headgate/presets";
import { simulator } from "headgate/providers";

const hasOpenAI = env.has("OPENAI_API_KEY");
const hasAnthropic = env.has("ANTHROPIC_API_KEY");

export default defineGateway({
  server: {
    port: env.int("PORT", 8787),
    host: env("HOST", "127.0.0.1"),
  },

  // What it keeps: SQLite in this folder, and memory. One variable each moves it to PostgreSQL and to Redis.
  data: env("HEADGATE_DATA", ".headgate"),
  database: env.has("DATABASE_URL") ? env.secret("DATABASE_URL") : undefined,
  redis: env.has("REDIS_URL") ? env.secret("REDIS_URL") : undefined,

  // Who answers. The simulator needs no key and no network; each real provider joins once its key is in the environment.
  providers: [simulator(), providersFromEnv()],

  // Names of your own for models. Clients may also ask for "provider/model", or for a model by its plain name.
  models: {
    fast: (hasOpenAI && "openai/gpt-5.4-mini") || (hasAnthropic && "anthropic/claude-haiku-4-5") || "simulator/sim-small",
    smart: (hasAnthropic && "anthropic/claude-sonnet-5") || (hasOpenAI && "openai/gpt-5.5") || "simulator/sim-large",
  },

  // What happens to every request, outermost first.
  plugins: [
    metrics(),
    audit(),
    // Who is asking. The development key is printed at start and works from this machine only; make real ones with
    // `npm run headgate -- keys create`.
    auth({ developmentKey: true }),
    usage(),
    rateLimit({ limits: ["600 requests/minute per key", "1M tokens/minute per key", "50 in flight per key"] }),
    idempotency(),
    quota({
      plans: {
        trial: ["1M tokens/month"],
        basic: ["10M tokens/month"],
        pro: ["100M tokens/month"],
        enterprise: [],
      },
    }),
    alerts(),
  ],
});
