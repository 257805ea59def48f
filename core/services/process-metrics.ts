import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Labels, Metrics } from "./metrics.ts";

/** How often the event loop is probed, in ms; the probe's own interval is no delay and is taken off. */
const RESOLUTION = 20;

/** Records this process's event-loop delay and memory as gauges, until the returned function is called. */
export function watchProcess(metrics: Metrics): () => void {
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION });
  loop.enable();
  const seconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - RESOLUTION / 1000);

  const removeDelay = metrics.gauge(
    "headgate_event_loop_delay_seconds",
    { help: "How late the event loop was since the last read-out; quantile 1 is the worst.", labels: ["quantile"], unit: "s" },
    () => {
      const read: [Labels, number][] = [
        [{ quantile: "0.5" }, seconds(loop.percentile(50))],
        [{ quantile: "0.99" }, seconds(loop.percentile(99))],
        [{ quantile: "1" }, seconds(loop.max)],
      ];
      loop.reset();
      return read;
    },
  );
  const removeMemory = metrics.gauge("headgate_memory_bytes", { help: "Memory of this process.", labels: ["kind"], unit: "By" }, () => {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    return [
      [{ kind: "rss" }, rss],
      [{ kind: "heap_used" }, heapUsed],
      [{ kind: "heap_total" }, heapTotal],
      [{ kind: "external" }, external],
    ];
  });
  return () => {
    loop.disable();
    removeDelay();
    removeMemory();
  };
}
