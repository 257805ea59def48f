import { setTimeout } from "node:timers/promises";
import type { Candidate } from "./candidates.ts";
import { Child, type Cores } from "./child.ts";
import type { Streams, Target } from "./load.ts";
import { request } from "./payload.ts";
import { quantile } from "./stats.ts";

/** How long and how much; times in ms. */
export interface Plan {
  readonly rounds: number;
  /** Requests before the first round, in passes over both kinds of call. */
  readonly warmUp: number;
  readonly warmUpMs: number;
  readonly saturateMs: number;
  readonly steadyMs: number;
  /** Streams of one round; a new one begins every 15 ms. */
  readonly streams: number;
}

/** Warm-up as long as V8 takes here: a gateway's CPU per request falls to a quarter over its first 30,000 requests, and each kind of call undoes some of what was compiled for the other. */
export const PLANS: { readonly full: Plan; readonly quick: Plan } = {
  full: { rounds: 8, warmUp: 40_000, warmUpMs: 2000, saturateMs: 2000, steadyMs: 800, streams: 120 },
  quick: { rounds: 2, warmUp: 10_000, warmUpMs: 2000, saturateMs: 800, steadyMs: 600, streams: 30 },
};
const LANES = 32;
const PER_SECOND = 400;
const STREAM_EVERY_MS = 15;
/** What a proxy still does for calls that it has answered is over by then, in ms. */
const LATER_MS = 1_200;
/** What a proxy is given right before it is measured, so that it is what a busy one costs: after a second of idleness the first calls cost several times as much. */
const WAKE = { ms: 300, streams: 15 };
export const OPEN_STREAMS = 1000;

/** A proxy's figures of one round: CPU in microseconds, times in milliseconds as the client sees them. */
export interface Figures {
  readonly cpuPerRequest: number;
  readonly perSecond: number;
  /** Share of one core that the proxy used while it was given all it could take. */
  readonly busy: number;
  readonly p50: number;
  readonly p99: number;
  /** p99 at half of what it can take, less that of the same calls without a proxy. */
  readonly halfP99: number;
  readonly cpuPerChunk: number;
  readonly firstP50: number;
  readonly readsPerChunk: number;
}

/** The same calls without a proxy. */
export type Direct = Pick<Figures, "p50" | "p99" | "firstP50" | "readsPerChunk">;

/** A proxy that runs. */
export class Runner {
  readonly candidate: Candidate;
  readonly #proxy: Child;
  readonly #load: Child;
  readonly #target: Target;
  readonly #direct: Target;
  #perSecond = PER_SECOND;

  constructor(
    candidate: Candidate,
    port: number,
    load: Child,
    upstream: string,
    cores: Cores | undefined,
    stdout: number,
    env: Record<string, string>,
  ) {
    this.candidate = candidate;
    this.#load = load;
    this.#direct = target(upstream);
    this.#target = target(`http://127.0.0.1:${port}`, candidate.headers(upstream));
    this.#proxy = new Child(candidate.name, {
      args: ["--expose-gc", "--import", new URL("probe.ts", import.meta.url).href, ...candidate.args(port)],
      env: { ...env, BENCH_UPSTREAM: upstream, PORT: String(port) },
      core: cores?.proxy,
      stdout,
    });
  }

  /** Resolves once it answers; rejects, with what it said, when it does not within 15 seconds. */
  async ready(): Promise<void> {
    let last = "";
    for (const until = performance.now() + 15_000; performance.now() < until && !this.#proxy.ended; await setTimeout(100)) {
      try {
        const { origin, headers } = this.#target;
        const response = await fetch(`${origin}/v1/chat/completions`, { method: "POST", headers, body: request(0, false) });
        if (response.ok) return void (await response.arrayBuffer());
        last = `${response.status} ${await response.text()}`;
      } catch (error) {
        last = String(error);
      }
    }
    throw new Error(`${this.candidate.name} does not answer: ${last}\n${this.#proxy.complaints}`);
  }

  async warmUp({ warmUp, warmUpMs, streams }: Plan): Promise<void> {
    for (let done = 0; done < warmUp; ) {
      const { requests } = await this.#load.ask<{ requests: number }>("saturate", { ...this.#target, lanes: LANES, ms: warmUpMs });
      done += requests;
      await this.#load.ask("streams", { ...this.#target, count: streams, everyMs: STREAM_EVERY_MS });
    }
  }

  async saturate({ saturateMs }: Plan): Promise<Pick<Figures, "cpuPerRequest" | "perSecond" | "busy">> {
    const details = { ...this.#target, lanes: LANES, ms: saturateMs };
    const ask = () => this.#load.ask<{ requests: number; ms: number }>("saturate", details);
    await this.#load.ask("saturate", { ...details, ms: WAKE.ms });
    const { cpu, meanwhile, value } = await this.#cpuOf(ask);
    const { requests, ms } = value;
    this.#perSecond = requests / (ms / 1000);
    return { cpuPerRequest: cpu / requests, perSecond: this.#perSecond, busy: meanwhile / 1000 / ms };
  }

  async stream(plan: Plan): Promise<Pick<Figures, "cpuPerChunk" | "firstP50" | "readsPerChunk">> {
    await streamed(this.#load, this.#target, { ...plan, streams: WAKE.streams });
    const { cpu, value } = await this.#cpuOf(() => streamed(this.#load, this.#target, plan));
    const { chunks, ...times } = value;
    return { cpuPerChunk: cpu / chunks, ...times };
  }

  steady(plan: Plan): Promise<Pick<Figures, "p50" | "p99">> {
    return steady(this.#load, this.#target, plan);
  }

  /** At half of what it could take a moment ago. */
  async half(plan: Plan): Promise<Pick<Figures, "halfP99">> {
    const rate = this.#perSecond / 2;
    const { p99: direct } = await steady(this.#load, this.#direct, plan, rate);
    return { halfP99: (await steady(this.#load, this.#target, plan, rate)).p99 - direct };
  }

  /** Resident bytes for each of a thousand streams, all half-way; rejects unless all of them come whole. */
  async memoryPerStream(upstream: Child): Promise<number> {
    await upstream.ask("pace", 30);
    await upstream.ask("hold");
    const before = await this.#proxy.ask<number>("memory");
    await this.#load.ask("openStreams", { ...this.#target, count: OPEN_STREAMS });
    const during = await this.#proxy.ask<number>("memory");
    await upstream.ask("release");
    await this.#load.ask("closeStreams");
    return (during - before) / OPEN_STREAMS;
  }

  stop(): void {
    this.#proxy.stop();
  }

  /** In µs: `meanwhile`, and `cpu` with what is done later for calls that have been answered. A ledger is written up to a second after. */
  async #cpuOf<Value>(work: () => Promise<Value>): Promise<{ cpu: number; meanwhile: number; value: Value }> {
    const before = await this.#proxy.ask<number>("cpu");
    const value = await work();
    const meanwhile = (await this.#proxy.ask<number>("cpu")) - before;
    await setTimeout(LATER_MS);
    return { cpu: (await this.#proxy.ask<number>("cpu")) - before, meanwhile, value };
  }
}

export function target(origin: string, headers: Record<string, string> = {}): Target {
  return { origin, headers: { "content-type": "application/json", authorization: "Bearer bench", ...headers } };
}

export async function steady(
  load: Child,
  target: Target,
  { steadyMs }: Plan,
  perSecond = PER_SECOND,
): Promise<Pick<Figures, "p50" | "p99">> {
  const times = await load.ask<number[]>("steady", { ...target, perSecond, ms: steadyMs });
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

export async function streamed(load: Child, target: Target, { streams }: Plan) {
  const { firstMs, readsPerChunk, chunks } = await load.ask<Streams>("streams", { ...target, count: streams, everyMs: STREAM_EVERY_MS });
  return { firstP50: quantile(firstMs, 0.5), readsPerChunk, chunks };
}
