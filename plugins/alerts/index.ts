import { Catalogue, Clock, Database, Directory, definePlugin, Events, HttpClient, Ids, Logger, Metrics, Random } from "headgate";
import { Announcer } from "./announcer.ts";
import { channelsOf } from "./channels/index.ts";
import { type Condition, parseCondition } from "./conditions.ts";
import { HealthWatch } from "./health-watch.ts";
import { personalData } from "./history.ts";
import { AlertsOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { Rounds } from "./rounds.ts";
import { alertRoutes } from "./routes.ts";
import { sampleOf } from "./sample.ts";
import { migrations } from "./tables.ts";
import { Thresholds } from "./thresholds.ts";
import { UsageWatch } from "./usage-watch.ts";

declare module "headgate" {
  interface EventMap {
    /** A circuit breaker no longer lets calls through to a target. */
    "breaker.opened": { readonly provider: string; readonly model: string; readonly reason: string };
    /** It lets them through again. */
    "breaker.closed": { readonly provider: string; readonly model: string };
  }
}

/**
 * Tells people before a quota runs out, when it has, and when the gateway is not well: once for each cause, over all
 * instances. Whatever waits for a network or the database does so in the background; a call only adds to counters.
 */
export const alerts = definePlugin({
  name: "alerts",
  options: AlertsOptions,
  inject: {
    catalogue: Catalogue,
    clock: Clock,
    db: Database,
    directory: Directory,
    events: Events,
    http: HttpClient,
    ids: Ids,
    logger: Logger,
    metrics: Metrics,
    random: Random,
  },
  before: ["semantic-cache", "complexity-router", "condenser", "failover"],
  failMode: "open",
  setup(options, { catalogue, clock, db, directory, events, http, ids, logger, metrics, random }) {
    const told = metrics.counter("headgate_alerts_total", { help: "Alerts told.", labels: ["kind"] });
    const deliveries = metrics.counter("headgate_alert_deliveries_total", {
      help: "Tries to deliver an alert.",
      labels: ["channel", "outcome"],
    });
    const dropped = metrics.counter("headgate_alerts_dropped_total", { help: "Alerts lost because too many waited for the database." });

    const channels = channelsOf(options, { http, clock, directory });
    const outboxes = channels.map((channel) => new Outbox(channel, { db, clock, random, logger, deliveries }));
    const announcer = new Announcer(db, channels, clock, ids);
    const thresholds = new Thresholds(db, clock, options.usage.thresholds);
    const health = new HealthWatch(options.health.map((text) => parseCondition(text) as Condition));
    const wake = () => {
      for (const outbox of outboxes) outbox.wake();
    };
    const tell = (kind: string) => {
      told.add(1, { kind });
      wake();
    };
    const usage = new UsageWatch({ thresholds, clock, logger, dropped, announce: (news) => announcer.usage(news), told: tell });
    const rounds = new Rounds({ db, clock, logger, health, announcer, reset: options.usage.reset, told: tell, wake });
    const closers: (() => void)[] = [];

    return {
      handle(exchange, next) {
        exchange.onSettled((outcome) => {
          const now = clock.monotonic();
          health.add(now, sampleOf(exchange, outcome, catalogue, now));
        });
        return next();
      },
      start() {
        closers.push(
          thresholds.listen(),
          events.on("quota.used", (event) => usage.take("threshold", event)),
          events.on("breaker.opened", ({ provider, model, reason }) =>
            health.breakerOpened(`${provider}/${model}`, clock.now().getTime(), reason),
          ),
          events.on("breaker.closed", ({ provider, model }) => health.breakerClosed(`${provider}/${model}`)),
        );
        if (options.usage.blocked) closers.push(events.on("quota.blocked", (event) => usage.take("blocked", event)));
        if (options.usage.reset) closers.push(events.on("quota.reset", (event) => usage.take("reset", event)));
        rounds.start();
        wake();
      },
      async stop() {
        for (const close of closers.splice(0)) close();
        await Promise.all([rounds.stop(), usage.stop(), ...outboxes.map((outbox) => outbox.stop())]);
      },
      routes: alertRoutes({ db, clock, ids, directory, channels, thresholds }),
      migrations,
      personalData: personalData(db),
    };
  },
});
