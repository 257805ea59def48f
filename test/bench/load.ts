/** The load generator: asks, checks every answer, and times it. A wrong answer fails the run, so that nobody wins by being wrong. */
import { setTimeout } from "node:timers/promises";
import { Pool } from "undici";
import { JsonCall, StreamCall } from "./calls.ts";
import { CHUNKS } from "./payload.ts";
import { answerParent } from "./talk.ts";

export interface Target {
  readonly origin: string;
  readonly headers: Record<string, string>;
}

export interface Streams {
  /** Milliseconds from asking to the first content. */
  readonly firstMs: number[];
  readonly chunks: number;
  /** Reads it took to receive one chunk; below 1 when chunks arrived together. */
  readonly readsPerChunk: number;
}

const pools = new Map<string, Pool>();
let open: Promise<StreamCall>[] = [];

function poolOf({ origin }: Target): Pool {
  // Some proxies close idle connections without regard for what is on its way: they are left in time.
  const pool = pools.get(origin) ?? new Pool(origin, { connections: 1000, pipelining: 1, keepAliveMaxTimeout: 1_000 });
  pools.set(origin, pool);
  return pool;
}

function json(target: Target): Promise<number> {
  return quietly(JsonCall.send(poolOf(target), target.headers));
}

/** Marks a failure as seen to: whoever awaits it may get there later. */
function quietly<Value>(call: Promise<Value>): Promise<Value> {
  call.catch(() => undefined);
  return call;
}

/** As many calls one after the other as `lanes` can make in `ms`. */
async function saturate({ lanes, ms, ...target }: Target & { lanes: number; ms: number }): Promise<{ requests: number; ms: number }> {
  const begun = performance.now();
  let requests = 0;
  const lane = async () => {
    for (; performance.now() - begun < ms; requests++) await json(target);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { requests, ms: performance.now() - begun };
}

/** Calls at a fixed rate, whatever becomes of them; the milliseconds that each took. */
async function steady({ perSecond, ms, ...target }: Target & { perSecond: number; ms: number }): Promise<number[]> {
  const calls: Promise<number>[] = [];
  const begun = performance.now();
  for (let passed = 0; passed < ms; passed = performance.now() - begun) {
    while (calls.length < (passed / 1000) * perSecond) calls.push(json(target));
    await setTimeout(1);
  }
  return Promise.all(calls);
}

/** Streams begun one after the other, `everyMs` apart. */
async function streams({ count, everyMs, ...target }: Target & { count: number; everyMs: number }): Promise<Streams> {
  const calls: Promise<StreamCall>[] = [];
  for (let index = 0; index < count; index++) {
    calls.push(quietly(StreamCall.open(poolOf(target), target.headers).whole));
    await setTimeout(everyMs);
  }
  const done = await Promise.all(calls);
  const chunks = count * CHUNKS;
  return { firstMs: done.map(({ firstMs }) => firstMs), chunks, readsPerChunk: done.reduce((sum, { reads }) => sum + reads, 0) / chunks };
}

/** Opens streams and answers once each has come to its middle, where the upstream holds it. */
async function openStreams({ count, ...target }: Target & { count: number }): Promise<void> {
  const calls: StreamCall[] = [];
  for (let index = 0; index < count; index++) {
    calls.push(StreamCall.open(poolOf(target), target.headers));
    // Faster, and the accept queue of the proxy's socket overflows.
    if (index % 4 === 3) await setTimeout(2);
  }
  open = calls.map(({ whole }) => quietly(whole));
  await Promise.all(calls.map((call) => Promise.race([call.middle, call.whole])));
}

/** Waits until every open stream has come to its end, whole; answers their number. */
async function closeStreams(): Promise<number> {
  return (await Promise.all(open.splice(0))).length;
}

answerParent({ saturate, steady, streams, openStreams, closeStreams });
