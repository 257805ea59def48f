import { bind, Database, type Usage } from "headgate";
import { usage } from "headgate/plugins";
import {
  type AnswerDialect,
  FakeLogger,
  framesIn,
  json,
  replyIn,
  type Script,
  ScriptedUpstream,
  sse,
  startGateway,
} from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import type { OwnedDatabase } from "../../core/services/database/owned.ts";
import { provider, UPSTREAMS } from "../support/scripted-provider.ts";

const TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.";
/** The answer has 111 bytes in 24 words: no less than 28 tokens by estimate. */
const AT_LEAST = 28;
/** What a whole reply comes to when its JSON is taken for text. */
const AT_MOST = 400;
const TRUE: Usage = { inputTokens: 21, outputTokens: 30, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

type Counts = { readonly input: unknown; readonly output: unknown } | undefined;

/** Where each dialect states its usage. */
const FIELDS: Readonly<Record<AnswerDialect, { readonly usage: string; of(counts: NonNullable<Counts>): unknown }>> = {
  "openai-chat": { usage: "usage", of: ({ input, output }) => ({ prompt_tokens: input, completion_tokens: output }) },
  "anthropic-messages": { usage: "usage", of: ({ input, output }) => ({ input_tokens: input, output_tokens: output }) },
  gemini: { usage: "usageMetadata", of: ({ input, output }) => ({ promptTokenCount: input, candidatesTokenCount: output }) },
  cohere: { usage: "usage", of: ({ input, output }) => ({ billed_units: { input_tokens: input, output_tokens: output } }) },
};

/** JSON has no NaN and no Infinity; Python's writes them nevertheless, and a client that does not is told `null`. */
const LIES: Readonly<Record<string, Counts>> = {
  missing: undefined,
  "without its counts": { input: undefined, output: undefined },
  "without its output": { input: 21, output: undefined },
  negative: { input: -21, output: -30 },
  "negative for the output alone": { input: 21, output: -1_000_000 },
  "a text": { input: "21", output: "30" },
  null: { input: null, output: null },
  fractional: { input: 21.5, output: 30.25 },
  "1e12": { input: 1e12, output: 1e12 },
  "1e308": { input: 1e308, output: 1e308 },
  "11 million": { input: 11_000_000, output: 11_000_000 },
  "of an output far larger than the answer": { input: 21, output: 9_000_000 },
  "of an output above the call's maximum and the answer's bytes": { input: 21, output: 5_000 },
  "nothing at all": { input: 0, output: 0 },
  "an object": { input: {}, output: [] },
};

let db: OwnedDatabase;
let upstream: ScriptedUpstream;
let gateway: Awaited<ReturnType<typeof startGateway>>;

beforeAll(async () => {
  db = createDatabase({ url: "sqlite::memory:", data: "", random: { next: Math.random }, logger: new FakeLogger() });
  upstream = await ScriptedUpstream.start();
  gateway = await startGateway({ providers: UPSTREAMS.map((dialect) => provider(dialect, upstream.url)), plugins: [usage()] }, [
    bind(Database, db),
  ]);
});
afterAll(async () => {
  await gateway.stop();
  await db.close();
  await upstream.close();
});

/** Puts other counts in the place of those that an answer states; `last`: of several statements, only there. */
function restated(dialect: AnswerDialect, value: unknown, counts: Counts): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => restated(dialect, each, counts));
  const { usage: name, of } = FIELDS[dialect];
  const entries = Object.entries(value).map(([key, each]) => {
    if (key !== name) return [key, restated(dialect, each, counts)];
    return [key, each === null || !counts ? undefined : of(counts)];
  });
  return Object.fromEntries(entries);
}

function frames(dialect: AnswerDialect, counts: Counts): string[] {
  return framesIn(dialect, { text: TEXT, usage: TRUE }).map((frame) =>
    frame.replace(/^data: (\{.*\})/m, (_, data: string) => `data: ${JSON.stringify(restated(dialect, JSON.parse(data), counts))}`),
  );
}

/** The row of a call that was answered so. */
async function rowOf(dialect: AnswerDialect, stream: boolean, script: Script) {
  upstream.always(script);
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: `${dialect}/m`, max_tokens: 200, stream, messages: [{ role: "user", content: "Tell me a story." }] }),
  });
  expect(await answer.text()).toContain("foolishness");
  const id = answer.headers.get("x-request-id") as string;
  return vi.waitFor(
    async () => {
      const query = db.tables<{ usage_exchanges: Record<string, number | string> }>().selectFrom("usage_exchanges").selectAll();
      return query.where("id", "=", id).executeTakeFirstOrThrow();
    },
    { timeout: 10_000, interval: 20 },
  );
}

function expectEstimated(row: Record<string, number | string>): void {
  expect(row).toMatchObject({ estimated: 1, outcome: "complete" });
  expect(row.input_tokens).toBeGreaterThan(3);
  expect(row.input_tokens).toBeLessThan(100);
  expect(row.output_tokens).toBeGreaterThanOrEqual(AT_LEAST);
  expect(row.output_tokens).toBeLessThan(AT_MOST);
  for (const part of ["cached_tokens", "cache_write_tokens", "reasoning_tokens"]) expect(row[part]).toBe(0);
}

describe.each(UPSTREAMS)("D10: usage by %s", (dialect) => {
  it.each([false, true])("is believed when it can be (streamed: %s)", async (stream) => {
    const script = stream ? sse(framesIn(dialect, { text: TEXT, usage: TRUE })) : json(replyIn(dialect, { text: TEXT, usage: TRUE }));
    expect(await rowOf(dialect, stream, script)).toMatchObject({ estimated: 0, input_tokens: 21, output_tokens: 30 });
  });

  it.each(Object.entries(LIES))("that is %s is replaced by an estimate, streamed and not, and said to be one", async (_, counts) => {
    expectEstimated(await rowOf(dialect, false, json(restated(dialect, replyIn(dialect, { text: TEXT, usage: TRUE }), counts) as object)));
    expectEstimated(await rowOf(dialect, true, sse(frames(dialect, counts))));
  });

  it("that is stated twice counts once", async () => {
    const all = framesIn(dialect, { text: TEXT, usage: TRUE });
    const at = all.findLastIndex((frame) => frame.includes(FIELDS[dialect].usage));
    const row = await rowOf(dialect, true, sse(all.toSpliced(at, 0, all[at] as string)));
    expect(row).toMatchObject({ estimated: 0, input_tokens: 21, output_tokens: 30 });
  });

  // Cohere's usage comes in the event that ends its stream.
  it.skipIf(dialect === "cohere")("that decreases counts with the most it was, as an estimate", async () => {
    const all = framesIn(dialect, { text: TEXT, usage: { ...TRUE, outputTokens: 60 } });
    const less = framesIn(dialect, { text: TEXT, usage: { ...TRUE, outputTokens: 2 } });
    const at = all.findLastIndex((frame) => frame.includes(FIELDS[dialect].usage));
    const row = await rowOf(dialect, true, sse(all.toSpliced(at + 1, 0, less[at] as string)));
    expect(row).toMatchObject({ estimated: 1, input_tokens: 21, output_tokens: 60 });
  });
});

it("an embedding whose usage is not stated counts for what was embedded", async () => {
  upstream.always(json({ object: "list", model: "m", data: [{ object: "embedding", index: 0, embedding: [0.5] }] }));
  const answer = await fetch(`${gateway.url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "openai-chat/m", input: ["Tell me a story.", "Tell me another one."] }),
  });
  expect(answer.status).toBe(200);
  const id = answer.headers.get("x-request-id") as string;
  const query = db.tables<{ usage_exchanges: Record<string, number | string> }>().selectFrom("usage_exchanges").selectAll();
  const row = await vi.waitFor(() => query.where("id", "=", id).executeTakeFirstOrThrow(), { timeout: 10_000, interval: 20 });
  expect(row).toMatchObject({ estimated: 1, output_tokens: 0 });
  expect(row.input_tokens).toBeGreaterThan(5);
});
