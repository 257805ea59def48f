import { env, secret } from "headgate";
import { z } from "zod";

export const MetricsOptions = z.strictObject({
  /** Push to an OpenTelemetry collector over OTLP/HTTP with JSON. */
  otlp: z
    .strictObject({
      /**
       * Base URL of the collector; `/v1/metrics` and `/v1/traces` are added. By default the OTEL_EXPORTER_OTLP_*
       * variables say where.
       */
      endpoint: z.url({ protocol: /^https?$/ }).optional(),
      /** Further headers, such as the collector's credentials; they win over OTEL_EXPORTER_OTLP_HEADERS. */
      headers: z.record(z.string().min(1), secret()).default({}),
      /** Whether metrics are pushed. By default they are when there is an endpoint for them. */
      metrics: z.boolean().optional(),
      /** Whether a span is sent for each call and each attempt. By default they are when there is an endpoint for them. */
      traces: z.boolean().optional(),
      /** Milliseconds between two pushes of metrics. */
      intervalMs: z.int().min(1_000).max(3_600_000).default(60_000),
      /** Milliseconds for one push, retries included. */
      timeoutMs: z.int().min(100).max(60_000).default(10_000),
    })
    .prefault({}),
});

export type OtlpOptions = z.output<typeof MetricsOptions>["otlp"];

/** Whether a signal is pushed: as the config says, else as OpenTelemetry's standard variables do. */
export function pushes(signal: "metrics" | "traces", otlp: OtlpOptions): boolean {
  const name = signal.toUpperCase();
  const off = env("OTEL_SDK_DISABLED", "").toLowerCase() === "true" || env(`OTEL_${name}_EXPORTER`, "") === "none";
  const endpoint = otlp.endpoint ?? (env("OTEL_EXPORTER_OTLP_ENDPOINT", "") || env(`OTEL_EXPORTER_OTLP_${name}_ENDPOINT`, ""));
  return otlp[signal] ?? (!off && endpoint !== "");
}
