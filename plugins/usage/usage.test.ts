import { bind, Catalogue, resolveConfig } from "headgate";
import { usage } from "headgate/plugins";
import { openai, simulator } from "headgate/providers";
import { answerIn, cut, describePlugin, ScriptedUpstream } from "headgate/testing";
import { expect, it, onTestFinished, vi } from "vitest";
import { asCaller } from "../../test/support/caller.ts";
import { eachDatabase } from "../../test/support/databases.ts";
import { ASK, post, rows, startUsage } from "../../test/support/usage-rig.ts";
import { Vault } from "./content.ts";
import type { Tables } from "./tables.ts";

const catalogue: Catalogue = {
  resolve: () => [],
  aliases: () => [],
  providers: () => [],
  models: () => [],
  find: () => undefined,
  cost: (_, { inputTokens, outputTokens }) => inputTokens * 1_000 + outputTokens * 2_000,
  start() {},
  stop() {},
};

describePlugin("usage", usage, { services: () => [bind(Catalogue, catalogue)] });

eachDatabase("the ledger", (open) => {
  it("has a row for each call, with who, what, how much and how it ended", async () => {
    const database = await open();
    const { url } = await startUsage(database);
    await (await post(url, "/v1/chat/completions", ASK, { "x-session-id": "s-1", "user-agent": "tests" })).text();
    const [row] = await rows(database, 1);
    expect(row).toMatchObject({
      user_id: "usr_ann",
      key_id: "key_of_usr_ann",
      plan: "small",
      session: "s-1",
      user_agent: "tests",
      dialect: "openai-chat",
      operation: "chat",
      requested_model: "fast",
      provider: "simulator",
      model: "sim-small",
      status: 200,
      outcome: "complete",
      attempts: 1,
      estimated: 0,
      error: null,
    });
    expect(row?.input_tokens).toBeGreaterThan(0);
    expect(row?.cost).toBeGreaterThan(0);
    expect(row?.prompt_hash).toMatch(/^[\w-]{43}$/);
    const attempts = await database.tables<Tables>().selectFrom("usage_tries").selectAll().execute();
    expect(attempts).toMatchObject([{ exchange_id: row?.id, provider: "simulator", input_tokens: row?.input_tokens, cost: row?.cost }]);
  });

  it("counts a call that was cut, with what was sent of it, and says that it estimated", async () => {
    const database = await open();
    const upstream = await ScriptedUpstream.start();
    onTestFinished(() => upstream.close());
    const whole = answerIn("openai-chat", { text: "Twenty words are enough to see that something was sent before the connection broke" });
    upstream.always((call) => cut(whole(call), { steps: 5 }));
    const { url } = await startUsage(
      database,
      {},
      { providers: [openai({ baseUrl: `${upstream.url}/v1`, apiKey: "k" })], models: { fast: "openai/gpt-5.4-mini" } },
    );
    await (await post(url, "/v1/chat/completions", { ...ASK, stream: true })).text().catch(() => "");
    const [row] = await rows(database, 1);
    expect(row).toMatchObject({ outcome: "cut", estimated: 1 });
    expect(row?.output_tokens).toBeGreaterThan(0);
  });

  it("C9: bills a stream from the provider's own word, whether the client asked to see it or not", async () => {
    const database = await open();
    const { url } = await startUsage(database);
    const shown: boolean[] = [];
    for (const stream_options of [undefined, null, { include_usage: true }, { include_usage: false }]) {
      shown.push(
        /"usage":\{/.test(
          await (
            await post(url, "/v1/chat/completions", { ...ASK, stream: true, ...(stream_options !== undefined && { stream_options }) })
          ).text(),
        ),
      );
    }
    const found = await rows(database, 4);
    expect(shown).toEqual([false, false, true, false]);
    expect(new Set(found.map(({ output_tokens, estimated }) => `${output_tokens} ${estimated}`)).size).toBe(1);
    expect(found[0]?.estimated).toBe(0);
    expect(new Set(found.map(({ id }) => id)).size).toBe(4);
  });

  it("keeps prompts and answers only when told to, and then sealed", async () => {
    const database = await open();
    const key = Buffer.alloc(32, 7).toString("base64");
    const { url } = await startUsage(database, { content: "store", contentKey: key });
    const answer = (await (await post(url, "/v1/chat/completions", ASK)).json()) as { choices: { message: { content: string } }[] };
    await rows(database, 1);
    const [content] = await vi.waitFor(async () => {
      const found = await database.tables<Tables>().selectFrom("usage_contents").selectAll().execute();
      expect(found).toHaveLength(1);
      return found;
    });
    expect(new Vault(key).open(content?.prompt as string)).toContain('"Hi"');
    expect(new Vault(key).open(content?.answer as string)).toBe(answer.choices[0]?.message.content);
    expect(new Vault(Buffer.alloc(32, 8).toString("base64")).open(content?.prompt as string)).toBeUndefined();
  });

  it("goes on over a reload, and books what the old chain still answers with what it really used", async () => {
    const database = await open();
    const { held, release } = hold();
    const { url, gateway } = await startUsage(database, {}, { plugins: [held] });
    const answer = post(url, "/v1/chat/completions", ASK);
    await release.reached;
    await gateway.reload(
      resolveConfig({
        providers: [simulator({ speed: 0 })],
        models: { fast: "simulator/sim-small" },
        server: { port: 0 },
        plugins: [asCaller(), usage({ content: "none" })],
      }),
    );
    await (await post(url, "/v1/chat/completions", ASK)).text();
    release.go();
    await (await answer).text();
    const found = await rows(database, 2);
    expect(found.map(({ outcome }) => outcome)).toEqual(["complete", "complete"]);
    expect(found.every(({ output_tokens }) => Number(output_tokens) > 0)).toBe(true);
  });
});

/** A plugin that holds the first call until told to let go. */
function hold() {
  let [reach, go] = [() => {}, () => {}];
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  const held = {
    name: "hold",
    async handle(_: unknown, next: () => Promise<void>) {
      reach();
      await gone;
      await next();
    },
  };
  return { held, release: { reached, go } };
}
