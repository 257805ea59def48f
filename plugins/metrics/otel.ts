import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Clock, Counter, Exchange, Logger, Metrics, Outcome } from "headgate";
import type { OtlpOptions } from "./options.ts";
import { RegistryProducer } from "./producer.ts";
import { emitSpans, type Known } from "./spans.ts";

/** Spans held for a collector that is slow or away. */
const MAX_QUEUE = 2048;
const MAX_BATCH = 512;
/** Longest text in an attribute; a client may name its model as it likes. */
const MAX_TEXT = 256;
/** How long the last push may hold up the shutdown, in ms. */
const STOP_MS = 3_000;

export interface Telemetry {
  /** Tells an exchange that has just settled as spans; drops and counts them when the queue is full. */
  record(exchange: Exchange, outcome: Outcome, now: number): void;
  /** Pushes what is left, for three seconds at most. */
  stop(): Promise<void>;
}

export interface TelemetryServices {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Starts pushing to a collector. Nothing here waits for it: a collector that hangs costs telemetry, counted, and no call. */
export function startTelemetry(
  otlp: OtlpOptions,
  signals: { readonly metrics: boolean; readonly traces: boolean },
  services: TelemetryServices,
  known: Known,
): Telemetry {
  const { metrics, clock } = services;
  const resource = defaultResource()
    .merge(resourceFromAttributes({ "service.name": "headgate" }))
    .merge(detectResources({ detectors: [serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector] }));
  const failures = metrics.counter("headgate_telemetry_push_failures_total", {
    help: "Pushes to the OpenTelemetry collector that failed.",
    labels: ["signal"],
  });
  const dropped = metrics.counter("headgate_telemetry_spans_dropped_total", {
    help: "Spans lost because the collector was slow or away.",
  });

  const meters = signals.metrics ? startMeters() : undefined;
  const spans = signals.traces ? startSpans() : undefined;

  function startMeters(): MeterProvider {
    const exporter = new OTLPMetricExporter(exporterConfig(otlp, "metrics"));
    watch(exporter, "metrics", failures, services.logger);
    const reader = new PeriodicExportingMetricReader({
      exporter,
      exportIntervalMillis: otlp.intervalMs,
      exportTimeoutMillis: Math.min(otlp.timeoutMs, otlp.intervalMs),
      metricProducers: [new RegistryProducer(metrics, clock)],
    });
    return new MeterProvider({ resource, readers: [reader] });
  }

  function startSpans() {
    const exporter = new OTLPTraceExporter(exporterConfig(otlp, "traces"));
    let queued = 0;
    watch(exporter, "traces", failures, services.logger, (batch, failed) => {
      queued -= batch.length;
      if (failed) dropped.add(batch.length);
    });
    const processor = new BatchSpanProcessor({
      exporter,
      maxQueueSize: MAX_QUEUE,
      maxExportBatchSize: MAX_BATCH,
      exportTimeoutMillis: otlp.timeoutMs,
    });
    const provider = new TracerProvider({ resource, spanProcessors: [processor], spanLimits: { attributeValueLengthLimit: MAX_TEXT } });
    const tracer = provider.getTracer("headgate");
    return {
      provider,
      record(exchange: Exchange, outcome: Outcome, now: number): void {
        const count = 1 + exchange.attempts.length;
        if (queued + count > MAX_QUEUE) dropped.add(count);
        else queued += emitSpans(tracer, exchange, outcome, { now, offset: clock.now().getTime() - clock.monotonic() }, known);
      },
    };
  }

  return {
    record: (exchange, outcome, now) => spans?.record(exchange, outcome, now),
    async stop() {
      const pushed = Promise.allSettled([meters?.shutdown(), spans?.provider.shutdown()]);
      await new Promise<void>((resolve) => {
        const deadline = clock.timer(STOP_MS, resolve);
        pushed.then(() => {
          deadline.cancel();
          resolve();
        });
      });
    },
  };
}

function exporterConfig(otlp: OtlpOptions, signal: "metrics" | "traces") {
  const headers = Object.fromEntries(Object.entries(otlp.headers).map(([name, value]) => [name, value.reveal()]));
  const url = otlp.endpoint && `${otlp.endpoint.replace(/\/+$/, "")}/v1/${signal}`;
  return { url, headers, timeoutMillis: otlp.timeoutMs, concurrencyLimit: 4 };
}

interface Exporter<Items> {
  export(items: Items, done: (result: { code: number; error?: Error }) => void): void;
}

/** Counts an exporter's failures, and says in the log when it begins to fail and when it works again. */
function watch<Items>(
  exporter: Exporter<Items>,
  signal: string,
  failures: Counter,
  logger: Logger,
  onResult?: (items: Items, failed: boolean) => void,
): void {
  const push = exporter.export.bind(exporter);
  let failing = false;
  exporter.export = (items, done) =>
    push(items, (result) => {
      const failed = result.code !== 0;
      onResult?.(items, failed);
      if (failed) failures.add(1, { signal });
      if (failed && !failing) logger.warn({ signal, err: result.error }, "the OpenTelemetry collector does not take telemetry");
      if (!failed && failing) logger.info({ signal }, "the OpenTelemetry collector takes telemetry again");
      failing = failed;
      done(result);
    });
}
