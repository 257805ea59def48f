import { type HrTime, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type MetricProducer,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import type { Clock, Labels, Measurement, Metrics } from "headgate";

/** The registry as a source that any OpenTelemetry reader or serializer takes: the one pipeline behind `/metrics` and OTLP. */
export class RegistryProducer implements MetricProducer {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #start: HrTime;

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#start = hrTime(clock);
  }

  async collect() {
    return { resourceMetrics: this.read(), errors: [] };
  }

  read(): ResourceMetrics {
    const end = hrTime(this.#clock);
    const metrics = Array.from(this.#metrics.collect(), (measurement) => toMetricData(measurement, this.#start, end));
    return { resource: emptyResource(), scopeMetrics: [{ scope: { name: "headgate" }, metrics }] };
  }
}

function hrTime(clock: Clock): HrTime {
  const ms = clock.now().getTime();
  return [Math.trunc(ms / 1000), (ms % 1000) * 1e6];
}

function toMetricData(measurement: Measurement, startTime: HrTime, endTime: HrTime): MetricData {
  const { name, help, unit } = measurement;
  const common = {
    descriptor: { name, description: help, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const at = (labels: Labels) => ({ startTime, endTime, attributes: withoutEmpty(labels) });
  if (measurement.kind === "histogram") {
    const boundaries = [...measurement.buckets];
    const dataPoints = measurement.points.map(({ labels, counts, sum, count }) => ({
      ...at(labels),
      value: { buckets: { boundaries, counts: [...counts] }, sum, count },
    }));
    return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = measurement.points.map(({ labels, value }) => ({ ...at(labels), value }));
  if (measurement.kind === "gauge") return { ...common, dataPointType: DataPointType.GAUGE, dataPoints };
  return { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints };
}

/** To Prometheus an empty label is an absent one, and OpenTelemetry leaves absent attributes out. */
function withoutEmpty(labels: Labels): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}
