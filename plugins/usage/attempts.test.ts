import { setTimeout as sleep } from "node:timers/promises";
import { bind, Database, Logger } from "headgate";
import { usage } from "headgate/plugins";
import { type Answer, FakeLogger, json, type Responder, replyIn, ScriptedUpstream, startGateway } from "headgate/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { FEW_CONNECTIONS, startCrowd } from "../../test/support/crowd.ts";
import { eachDatabase } from "../../test/support/databases.ts";
import { loseCommits } from "../../test/support/lost-commits.ts";
import { hasPostgres, startPostgres } from "../../test/support/postgres.ts";
import { failover, provider } from "../../test/support/scripted-provider.ts";
import { ASK, post, rows, startUsage } from "../../test/support/usage-rig.ts";
import { report, totals } from "./reports.ts";
import type { Tables } from "./tables.ts";

const ALL = { since: 0, until: Date.now() + 86_400_000 };
const ANSWER: Answer = { text: "Hello there", usage: { inputTokens: 9, outputTokens: 4 } };
/** An answer that was paid for, and that no client can read. */
const UNREADABLE = { ...replyIn("anthropic-messages", { text: "x", usage: { inputTokens: 20, outputTokens: 30 } }), content: "none" };

/** A gateway that turns to its second provider where the first fails. */
async function startPair(database: Database, first: Responder) {
  const upstreams = [await ScriptedUpstream.start(), await ScriptedUpstream.start()] as const;
  for (const each of upstreams) onTestFinished(() => each.close());
  upstreams[0].always(first);
  upstreams[1].always(json(replyIn("openai-chat", ANSWER)));
  const prices = { "first/m": { input: 1, output: 2 }, "second/m": { input: 3, output: 5 } };
  return startUsage(
    database,
    {},
    {
      providers: [provider("anthropic-messages", upstreams[0].url, "first"), provider("openai-chat", upstreams[1].url, "second")],
      models: { fast: ["first/m", "second/m"] },
      prices,
      plugins: [failover()],
    },
  );
}

eachDatabase("D11: a call that took two tries", (open) => {
  it.each([
    ["after it was paid for", json(UNREADABLE), { input: 20, output: 30, cost: 20 * 1_000 + 30 * 2_000 }],
    ["before it used anything", { status: 500, body: "{}" }, { input: 0, output: 0, cost: 0 }],
  ])("has a row for each, under its own id, and is their sum; the first failed %s", async (_, first, used) => {
    const database = await open();
    const { url } = await startPair(database, first);
    expect((await post(url, "/v1/chat/completions", ASK)).status).toBe(200);
    const [row] = await rows(database, 1);
    const tries = await database.tables<Tables>().selectFrom("usage_tries").selectAll().orderBy("id").execute();
    const second = { input: 9, output: 4, cost: 9 * 3_000 + 4 * 5_000 };
    expect(tries).toMatchObject([
      { exchange_id: row?.id, provider: "first", input_tokens: used.input, output_tokens: used.output, cost: used.cost },
      { exchange_id: row?.id, provider: "second", input_tokens: 9, output_tokens: 4, cost: second.cost, error: null, error_type: null },
    ]);
    expect(tries[0]).toMatchObject({ error: expect.stringMatching(/^upstream_/), error_type: expect.any(String) });
    expect(tries[0]?.id).not.toBe(tries[1]?.id);
    const sums = { input_tokens: used.input + 9, output_tokens: used.output + 4 };
    expect(row).toMatchObject({ ...sums, cost: used.cost + second.cost, provider: "second", attempts: 2, retried: 1, error: null });
    expect(await totals(database, ALL)).toMatchObject({ ...sums, requests: 1, errors: 0 });
  });

  it("has no try, and used nothing, when it was answered from a cache", async () => {
    const database = await open();
    const cache = {
      name: "cache",
      async handle(exchange: { cached?: boolean; reply: unknown }) {
        exchange.cached = true;
        exchange.reply = { kind: "json", body: replyIn("openai-chat", ANSWER) };
      },
    };
    const { url } = await startUsage(database, {}, { plugins: [cache as never] });
    expect((await post(url, "/v1/chat/completions", ASK)).status).toBe(200);
    expect(await rows(database, 1)).toMatchObject([{ cached: 1, attempts: 0, retried: 0, input_tokens: 0, output_tokens: 0, cost: 0 }]);
    expect(await database.tables<Tables>().selectFrom("usage_tries").selectAll().execute()).toEqual([]);
  });
});

describe.skipIf(!hasPostgres)("A11: a commit whose answer is lost", () => {
  it("leaves each row once, and sums it once, however often that happens", async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const url = await server.database("ambiguous");
    const way = await loseCommits({ url, of: 'insert into "usage_exchanges"', times: 4 });
    const open = (at: string) => {
      const database = createDatabase({ url: at, data: "", random: { next: Math.random }, logger: new FakeLogger() });
      onTestFinished(() => database.close());
      return database;
    };
    const seen = open(url);
    const gateway = await startGateway({ providers: [provider("openai-chat", (await answering()).url, "scripted")], plugins: [usage()] }, [
      bind(Database, open(way.url)),
    ]);
    onTestFinished(() => gateway.stop());
    for (let calls = 1; calls <= 12; calls++) {
      expect((await post(gateway.url, "/v1/chat/completions", { ...ASK, model: "scripted/m" })).status).toBe(200);
      await rows(seen, calls);
    }
    expect(way.lost).toBe(4);
    expect(await seen.tables<Tables>().selectFrom("usage_tries").selectAll().execute()).toHaveLength(12);
    expect(await report(seen, "model", ALL)).toMatchObject([{ name: "m", requests: 12, input_tokens: 12 * 9, output_tokens: 12 * 4 }]);
  }, 60_000);
});

describe.skipIf(!hasPostgres)("A12: a server without a connection to spare", () => {
  it("loses no row and doubles none, however often it refuses", async () => {
    const server = await startPostgres({ settings: FEW_CONNECTIONS });
    onTestFinished(() => server.stop());
    const logger = new FakeLogger();
    const database = createDatabase({ url: server.url, data: "", random: { next: Math.random }, logger });
    onTestFinished(() => database.close());
    const plugins = [usage()];
    const gateway = await startGateway({ providers: [provider("openai-chat", (await answering()).url, "scripted")], plugins }, [
      bind(Database, database),
      bind(Logger, logger),
    ]);
    onTestFinished(() => gateway.stop());
    const crowd = await startCrowd(server.url);
    onTestFinished(() => crowd.stop());
    let calls = 0;
    const call = async (count: number) => {
      for (calls += count; count > 0; count--) {
        expect((await post(gateway.url, "/v1/chat/completions", { ...ASK, model: "scripted/m" })).status).toBe(200);
      }
    };
    // For less than it is tried again, and for longer.
    for (const ms of [50, 1_600, 50, 1_600]) {
      await crowd.gather();
      await call(10);
      await sleep(ms);
      await crowd.leave();
      await call(2);
      await rows(database, calls);
    }
    expect(await database.tables<Tables>().selectFrom("usage_tries").selectAll().execute()).toHaveLength(calls);
    expect(await report(database, "model", ALL)).toMatchObject([{ requests: calls, input_tokens: calls * 9 }]);
    expect(logger.lines).toContainEqual(
      expect.objectContaining({
        message: "a spool is in trouble",
        fields: expect.objectContaining({ err: expect.objectContaining({ code: "53300" }) }),
      }),
    );
  }, 60_000);
});

async function answering(): Promise<ScriptedUpstream> {
  const upstream = (await ScriptedUpstream.start()).always(json(replyIn("openai-chat", ANSWER)));
  onTestFinished(() => upstream.close());
  return upstream;
}
