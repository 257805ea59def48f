import { type ApiResponse, Catalogue, Clock, definePlugin, Events, Logger, Metrics, watchProcess } from "headgate";
import { MetricsOptions, pushes } from "./options.ts";
import type { Telemetry } from "./otel.ts";
import { Recorder } from "./recorder.ts";

/** Who listens to a gateway's plugin faults: the newest chain, so that none is counted twice while an old one drains. */
const faultListeners = new WeakMap<Events, () => void>();

/**
 * Measures every call and reads it out: Prometheus text at `/metrics`, and OTLP metrics and spans where a collector is
 * set. Stands outermost, so that refusals are counted too. The OpenTelemetry modules are loaded when first needed.
 */
export const metrics = definePlugin({
  name: "metrics",
  options: MetricsOptions,
  inject: { metrics: Metrics, catalogue: Catalogue, clock: Clock, events: Events, logger: Logger },
  before: ["auth", "usage", "rate-limit", "quota", "semantic-cache", "complexity-router", "condenser", "failover"],
  failMode: "open",
  setup({ otlp }, { metrics, catalogue, clock, events, logger }) {
    const recorder = new Recorder(metrics, catalogue);
    const known = recorder.known.bind(recorder);
    const closers: (() => void)[] = [];
    let telemetry: Telemetry | undefined;
    let read: (() => string) | undefined;

    async function scrape(): Promise<ApiResponse> {
      const { CONTENT_TYPE, prometheusReader } = await import("./prometheus.ts");
      read ??= prometheusReader(metrics, clock);
      return { body: read(), type: CONTENT_TYPE };
    }

    function countFaults(): () => void {
      const faults = metrics.counter("headgate_plugin_faults_total", {
        help: "Plugins that threw, hung or broke the contract.",
        labels: ["plugin", "phase", "fail_mode"],
      });
      faultListeners.get(events)?.();
      const stop = events.on("plugin.failed", ({ plugin, phase, failMode }) => faults.add(1, { plugin, phase, fail_mode: failMode }));
      faultListeners.set(events, stop);
      return stop;
    }

    return {
      handle(exchange, next) {
        recorder.begin();
        exchange.onSettled((outcome) => {
          const now = clock.monotonic();
          recorder.end(exchange, outcome, now);
          telemetry?.record(exchange, outcome, now);
        });
        return next();
      },
      async start() {
        closers.push(countFaults(), watchProcess(metrics));
        const signals = { metrics: pushes("metrics", otlp), traces: pushes("traces", otlp) };
        if (!signals.metrics && !signals.traces) return;
        const { startTelemetry } = await import("./otel.ts");
        telemetry = startTelemetry(otlp, signals, { metrics, clock, logger }, known);
      },
      async stop() {
        await telemetry?.stop();
        for (const close of closers.splice(0)) close();
      },
      routes: [{ method: "GET", path: "/metrics", access: "operator", handle: scrape }],
    };
  },
});
