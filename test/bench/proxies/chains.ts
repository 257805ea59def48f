import { env, type PluginEntry } from "headgate";
import { alerts, audit, auth, idempotency, metrics, quota, rateLimit, usage } from "headgate/plugins";

/** Who may spend what, with limits of every kind, all of them out of reach. */
export const spend: PluginEntry[] = [
  auth({ developmentKey: "hg_dev_of_the_bench" }),
  usage(),
  rateLimit({ limits: ["1000m requests/minute per key", "1000000m tokens/minute per key", "100k in flight per key"] }),
  quota({ plans: { trial: ["1000000000000 tokens/month", "$1000000/month"] }, keys: ["1000000000 requests/day"] }),
];

const [identity, ledger, rates, budgets] = spend as [PluginEntry, PluginEntry, PluginEntry, PluginEntry];

/** The chain of gateway.config.ts, whose own limits would end the bench after some seconds. */
export const shipped: PluginEntry[] = [metrics(), audit(), identity, ledger, rates, idempotency(), budgets, alerts()];

/** A folder of its own for each proxy. */
export const data = env("BENCH_DATA");
