import { definePlugin, type PluginHooks } from "headgate";
import { z } from "zod";

const EVERY_MS = 10;
/** Fewer ticks have no 99th percentile to speak of: it would be the worst of them. */
const ENOUGH = 200;

/** How long the event loop was held up, in ms. */
export interface LoopDelay {
  /** Null after less than two seconds. */
  readonly p99: number | null;
  readonly worst: number;
}

/**
 * Measures how long this process holds up its own event loop, by the processor time between two ticks of a timer: what
 * other processes of a busy machine take away does not count. `GET /loop-delay` tells it and starts anew.
 */
export const loopProbe = definePlugin({ name: "loop-probe", options: z.strictObject({}), setup: (): PluginHooks => new LoopProbe() });

class LoopProbe implements PluginHooks {
  readonly #delays: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  readonly routes = [{ method: "GET", path: "/loop-delay", access: "operator", handle: () => ({ body: this.#read() }) }] as const;

  start(): void {
    let wall = performance.now();
    let busy = busyMs();
    this.#timer = setInterval(() => {
      const [thenWall, thenBusy] = [wall, busy];
      [wall, busy] = [performance.now(), busyMs()];
      this.#delays.push(Math.max(0, Math.min(wall - thenWall, busy - thenBusy) - EVERY_MS));
    }, EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #read(): LoopDelay {
    const sorted = this.#delays.splice(0).toSorted((one, other) => one - other);
    return { p99: sorted.length < ENOUGH ? null : (sorted[Math.floor(sorted.length * 0.99)] ?? 0), worst: sorted.at(-1) ?? 0 };
  }
}

function busyMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
