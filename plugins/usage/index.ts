import { Catalogue, Clock, Database, definePlugin, Logger, Metrics, type Timer } from "headgate";
import { listen, Vault } from "./content.ts";
import { UsageLedger } from "./ledger.ts";
import { UsageOptions } from "./options.ts";
import { removeBefore } from "./partitions.ts";
import { personalData } from "./personal-data.ts";
import { Recorder } from "./recorder.ts";
import { usageRoutes } from "./routes.ts";
import { migrations } from "./tables.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** From when on `/health` calls the ledger degraded: so many records wait, or none was taken for so many ms. */
const BEHIND = { records: 5_000, ms: 60_000 } as const;
/** Refused before anyone knew who it was: counted, and no row. */
const STRANGERS = new Set(["invalid_api_key"]);

/**
 * The ledger: a row for each call and each try at a provider. A row is written down on this machine when its call ends,
 * and brought to the database in batches, once each, whatever becomes of either in between. No call waits for it.
 */
export const usage = definePlugin({
  name: "usage",
  options: UsageOptions,
  inject: { catalogue: Catalogue, clock: Clock, db: Database, ledger: UsageLedger, logger: Logger, metrics: Metrics },
  after: ["metrics", "auth"],
  before: ["rate-limit", "idempotency", "quota", "semantic-cache", "complexity-router", "condenser", "failover"],
  failMode: "open",
  setup(options, { catalogue, clock, db, ledger, logger, metrics }) {
    const vault = options.content === "store" && options.contentKey ? new Vault(options.contentKey.reveal()) : undefined;
    const recorder = new Recorder({ catalogue, clock, ledger, options, vault });
    const strangers = metrics.counter("headgate_usage_strangers_total", {
      help: "Refused calls of callers nobody knew; they have no row.",
    });
    let started = false;
    let upkeep: Timer | undefined;

    async function removeOld(): Promise<void> {
      if (options.retentionDays === 0) return;
      const removed = await removeBefore(db, clock.now().getTime() - options.retentionDays * DAY_MS);
      if (removed > 0) logger.info({ removed }, "old usage has been removed");
    }

    return {
      migrations,
      personalData: personalData(db, vault),
      routes: usageRoutes({ db, clock }),
      async start() {
        await ledger.start();
        started = true;
        upkeep = clock.interval(
          HOUR_MS,
          () => void removeOld().catch((error) => logger.warn({ err: error }, "old usage could not be removed")),
        );
      },
      async stop() {
        upkeep?.cancel();
        if (started) await ledger.stop();
        started = false;
      },
      health: () =>
        ledger.backlog > BEHIND.records || ledger.stuckMs > BEHIND.ms
          ? { status: "degraded", detail: `${ledger.backlog} records wait for the database` }
          : { status: "ok" },
      handle(exchange, next) {
        if (exchange.operation === "models") return next();
        const begun = recorder.begin(exchange);
        let heard: (() => string) | undefined;
        exchange.onSettled((outcome) => {
          if (outcome.kind === "refused" && STRANGERS.has(outcome.error?.code ?? "")) {
            ledger.drop(begun.open);
            strangers.add(1);
          } else recorder.end(exchange, outcome, begun, heard?.() ?? null);
        });
        if (!vault) return next();
        return next().then(() => {
          heard = listen(exchange);
        });
      },
    };
  },
});
