import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { MetricData } from "@opentelemetry/sdk-metrics";
import type { Clock, Metrics } from "headgate";
import { RegistryProducer } from "./producer.ts";

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Reads the registry out as Prometheus text. */
export function prometheusReader(metrics: Metrics, clock: Clock): () => string {
  const producer = new RegistryProducer(metrics, clock);
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  return () => {
    const { resource, scopeMetrics } = producer.read();
    return serializer.serialize({
      resource,
      scopeMetrics: scopeMetrics.map(({ scope, metrics }) => ({ scope, metrics: metrics.map(prometheusName) })),
    });
  };
}

/** Prometheus has the unit in the name, where OpenTelemetry's `gen_ai.` names leave it to the metadata. */
function prometheusName(data: MetricData): MetricData {
  const { name, unit } = data.descriptor;
  const suffix = unit === "s" && !/_seconds(_|$)/.test(name) ? "_seconds" : "";
  return { ...data, descriptor: { ...data.descriptor, name: name + suffix, unit: "" } };
}
