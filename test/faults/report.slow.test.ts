import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { framesIn, ScriptedUpstream, type Step, sse } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { spawnGateway } from "../support/gateway-process.ts";
import type { LoopDelay } from "../support/loop-probe.ts";
import { ask } from "../support/sse-client.ts";

const STREAMS = 100;
/** Between two pieces of a stream, in ms. */
const PACE_MS = 20;
const [HEAD = "", PIECE = "", ...REST] = framesIn("openai-chat", { text: ["Hello ", "to you"] });

/** Streams of which all send a piece at the same time, until they are told to end. */
class Metronome {
  #beat = Promise.withResolvers<void>();
  #over = false;
  readonly #timer = setInterval(() => {
    this.#beat.resolve();
    this.#beat = Promise.withResolvers();
  }, PACE_MS);

  async *stream(): AsyncGenerator<Step> {
    yield HEAD;
    while (!this.#over) {
      yield PIECE;
      yield { until: this.#beat.promise };
    }
    for (const frame of REST) yield frame;
  }

  end(): void {
    this.#over = true;
    setTimeout(() => clearInterval(this.#timer), 2 * PACE_MS);
  }
}

/** The 99th percentile of a list. */
function p99(gaps: readonly number[]): number {
  return gaps.toSorted((one, other) => one - other)[Math.floor(gaps.length * 0.99)] ?? 0;
}

// Measures; wants a machine with two cores and little else to do.
it(`A16: while a report takes two seconds, ${STREAMS} streams go on as before`, async () => {
  const DATA = mkdtempSync(join(tmpdir(), "headgate-report-"));
  onTestFinished(() => rmSync(DATA, { recursive: true, force: true }));
  const metronome = new Metronome();
  const upstream = (await ScriptedUpstream.start()).always(() => sse(metronome.stream()));
  onTestFinished(() => upstream.close());
  const url = await spawnGateway({ UPSTREAM_URL: upstream.url, DATA }, "report.config.ts").ready;
  const report = async (rows: number) => {
    const begun = performance.now();
    expect((await fetch(`${url}/slow-report?rows=${rows}`)).status).toBe(200);
    return performance.now() - begun;
  };
  const rows = Math.round((2_200 / (await report(2_000_000))) * 2_000_000);
  let gaps: number[] = [];
  const watch = async (response: IncomingMessage) => {
    let last = performance.now();
    response.on("data", () => {
      const now = performance.now();
      gaps.push(now - last);
      last = now;
    });
    await once(response, "end");
  };
  const asked = Array.from({ length: STREAMS }, () => ask(url, "openai-chat", { model: "scripted/m" }));
  const watched = (await Promise.all(asked)).map(watch);
  await sleep(1_000);
  gaps = [];
  await sleep(2_000);
  const before = p99(gaps);
  await fetch(`${url}/loop-delay`);
  gaps = [];
  const took = await report(rows);
  const during = p99(gaps);
  const loop = (await (await fetch(`${url}/loop-delay`)).json()) as LoopDelay;
  metronome.end();
  await Promise.all(watched);
  process.stderr.write(
    `a report of ${took.toFixed(0)} ms: gap between pieces, 99 %, ${during.toFixed(1)} ms (before ${before.toFixed(1)} ms, sent every ${PACE_MS} ms); event loop held up by at most ${loop.worst.toFixed(1)} ms\n`,
  );
  expect(took).toBeGreaterThan(1_500);
  expect(gaps.length).toBeGreaterThan(0.5 * STREAMS * (took / PACE_MS));
  expect(during).toBeLessThan(50);
  expect(loop.worst).toBeLessThan(200);
}, 60_000);
