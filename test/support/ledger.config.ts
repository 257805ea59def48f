import { defineGateway, env } from "headgate";
import { metrics, quota, usage } from "headgate/plugins";
import { asCaller } from "./caller.ts";
import { loopProbe } from "./loop-probe.ts";
import { provider } from "./scripted-provider.ts";

/** What a gateway with a ledger and budgets runs, in a process that is killed; see gateway-process.ts. */
export default defineGateway({
  server: { port: env.int("PORT", 0), drainMs: 2_000 },
  data: env("DATA"),
  ...(env.has("LEDGER_DATABASE") ? { database: env.secret("LEDGER_DATABASE") } : {}),
  log: { level: "silent" },
  providers: [provider("openai-chat", env("UPSTREAM_URL"), "scripted")],
  // As the tokenizer knows it.
  models: { "gpt-5": "scripted/m" },
  prices: { "scripted/m": { input: 1, output: 4 } },
  plugins: [
    metrics(),
    loopProbe(),
    asCaller(),
    usage(),
    quota({
      plans: {
        small: ["5000 tokens once"],
        large: ["900M tokens once", "$9000 once", "1000000 requests once"],
        twenty: ["20 requests once"],
        ...JSON.parse(env("PLANS", "{}")),
      },
    }),
  ],
});
