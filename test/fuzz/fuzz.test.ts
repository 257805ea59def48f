import fc from "fast-check";
import { metrics } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { type AnswerDialect, ScriptedUpstream, startGateway, type TestGateway } from "headgate/testing";
import { Pool } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import { scripted } from "../support/edge.ts";
import { expectAnswer } from "./answers.ts";
import { CORPUS } from "./corpus.ts";
import { takesAll } from "./provider.ts";
import { type FuzzedRequest, requests } from "./requests.ts";

/** `HEADGATE_FUZZ_SEED=1 HEADGATE_FUZZ_RUNS=100000 npm run fuzz` goes the same way again, or further. */
const SEED = Number(process.env.HEADGATE_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = Number(process.env.HEADGATE_FUZZ_RUNS ?? 20_000);

const DIALECTS: readonly AnswerDialect[] = ["openai-chat", "anthropic-messages", "gemini", "cohere"];
let gateway: TestGateway;
let upstreams: ScriptedUpstream[];
let pool: Pool;
const crashes: unknown[] = [];
const onCrash = (error: unknown) => void crashes.push(error);

beforeAll(async () => {
  process.on("unhandledRejection", onCrash).on("uncaughtExceptionMonitor", onCrash);
  upstreams = await Promise.all(DIALECTS.map(() => ScriptedUpstream.start()));
  const providers = DIALECTS.map((dialect, at) => {
    const upstream = upstreams[at] as ScriptedUpstream;
    upstream.always(takesAll(dialect));
    return scripted(dialect, dialect, upstream.url);
  });
  gateway = await startGateway({
    providers: [simulator({ speed: 0 }), ...providers],
    models: { fast: "simulator/sim-nano" },
    plugins: [metrics()],
  });
  pool = new Pool(gateway.url, { connections: 4 });
});
afterAll(async () => {
  await pool.destroy();
  await gateway.stop();
  for (const upstream of upstreams) await upstream.close();
  process.off("unhandledRejection", onCrash).off("uncaughtExceptionMonitor", onCrash);
});

async function check(request: FuzzedRequest): Promise<void> {
  const { path, body } = request;
  const answer = await pool.request({ method: "POST", path, body, headers: { "content-type": "application/json" } });
  const { statusCode: status, headers } = answer;
  expectAnswer(request, { status, headers: headers as Record<string, string>, body: await answer.body.text() });
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  expect(crashes).toEqual([]);
}

it.each(Object.entries(CORPUS))("answers what once was answered wrong: %s", (_, request) => check(request));

it(`answers ${RUNS.toLocaleString("en")} made-up requests, each with what its client can read (seed ${SEED})`, async () => {
  await fc.assert(fc.asyncProperty(requests, check), { seed: SEED, numRuns: RUNS });
  expect((await pool.request({ method: "GET", path: "/health" })).statusCode).toBe(200);
}, 600_000);
