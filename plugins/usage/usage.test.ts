import { bind, Catalogue, Database, type GatewayConfig, resolveConfig } from "headgate";
import { usage } from "headgate/plugins";
import { openai, simulator } from "headgate/providers";
import { answerIn, cut, describePlugin, ScriptedUpstream, startGateway, type TestGateway } from "headgate/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { asCaller } from "../../test/support/caller.ts";
import { eachDatabase, type OpenedDatabase } from "../../test/support/databases.ts";
import { removeBefore } from "./partitions.ts";
import { personalData } from "./personal-data.ts";
import { startLine } from "./record.ts";
import { report } from "./reports.ts";
import { Store } from "./store.ts";
import { migrations, type Tables } from "./tables.ts";

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

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0).reverse()) await each.stop();
});

const ASK = { model: "fast", max_tokens: 50, messages: [{ role: "user", content: "Hi" }] };

async function start(
  database: OpenedDatabase,
  options: Parameters<typeof usage>[0] = {},
  config: Partial<GatewayConfig> = {},
): Promise<TestGateway> {
  const gateway = await startGateway(
    {
      providers: [simulator({ speed: 0 })],
      models: { fast: "simulator/sim-small" },
      ...config,
      plugins: [asCaller(), usage(options), config.plugins],
    },
    [bind(Database, database)],
  );
  running.push(gateway);
  return gateway;
}

function post(url: string, path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
}

async function rows(database: OpenedDatabase, count: number) {
  const tables = database.tables<Tables>();
  return vi.waitFor(
    async () => {
      const found = await tables.selectFrom("usage_exchanges").selectAll().orderBy("created_at").execute();
      expect(found).toHaveLength(count);
      return found;
    },
    { timeout: 5_000, interval: 20 },
  );
}

eachDatabase("the ledger", (open) => {
  it("has a row for each call, with who, what, how much and how it ended", async () => {
    const database = await open();
    const { url } = await start(database);
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
    const attempts = await database.tables<Tables>().selectFrom("usage_attempts").selectAll().execute();
    expect(attempts).toMatchObject([{ exchange_id: row?.id, provider: "simulator", input_tokens: row?.input_tokens, cost: row?.cost }]);
  });

  it("counts a call that was cut, with what was sent of it, and says that it estimated", async () => {
    const database = await open();
    const upstream = await ScriptedUpstream.start();
    running.push({ stop: () => upstream.close() });
    const whole = answerIn("openai-chat", { text: "Twenty words are enough to see that something was sent before the connection broke" });
    upstream.always((call) => cut(whole(call), { steps: 5 }));
    const { url } = await start(
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
    const { url } = await start(database);
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

  it("writes each row once, and sums it once, however often it is delivered", async () => {
    const database = await open();
    const { url } = await start(database);
    await (await post(url, "/v1/chat/completions", ASK)).text();
    const [row] = await rows(database, 1);
    const store = new Store(database, { now: () => new Date() } as never, "run_test");
    const cells = (await import("./columns.ts")).EXCHANGE.map(({ name }) => row?.[name] ?? null);
    const line = `e\trun_x\t${row?.id}\t${JSON.stringify(cells)}\t[]`;
    for (let time = 0; time < 3; time++) await store.deliver([line, line]);
    await rows(database, 1);
    const [sum] = await report(database, "model", { since: 0, until: Date.now() });
    expect(sum).toMatchObject({ name: "sim-small", requests: 1, errors: 0, input_tokens: row?.input_tokens });
  });

  it("books a call of which nothing more was heard as unknown, once", async () => {
    const database = await open(migrations);
    const store = new Store(database, { now: () => new Date() } as never, "run_new");
    const { sketch, beginLine } = await import("./record.ts");
    const row = sketch({
      id: "req_lost",
      created_at: Date.now(),
      requested_model: "fast",
      outcome: "unknown",
      estimated: 1,
      status: 0,
      cached: 0,
      attempts: 1,
      input_tokens: 12,
      output_tokens: 0,
      cached_tokens: 0,
      reasoning_tokens: 0,
    });
    const lines = [
      beginLine("run_old", "req_lost", row),
      beginLine("run_old", "req_done", row),
      "e\trun_old\treq_done\t[[],[]]",
      startLine("run_new"),
    ].filter((line) => !line.includes("req_done"));
    await store.deliver(lines);
    await store.deliver(lines);
    expect(await rows(database, 1)).toMatchObject([{ id: "req_lost", outcome: "unknown", estimated: 1, input_tokens: 12 }]);
  });

  it("keeps prompts and answers only when told to, and then sealed", async () => {
    const database = await open();
    const key = Buffer.alloc(32, 7).toString("base64");
    const { url } = await start(database, { content: "store", contentKey: key });
    const answer = (await (await post(url, "/v1/chat/completions", ASK)).json()) as { choices: { message: { content: string } }[] };
    await rows(database, 1);
    const [content] = await vi.waitFor(async () => {
      const found = await database.tables<Tables>().selectFrom("usage_contents").selectAll().execute();
      expect(found).toHaveLength(1);
      return found;
    });
    const { Vault } = await import("./content.ts");
    expect(new Vault(key).open(content?.prompt as string)).toContain('"Hi"');
    expect(new Vault(key).open(content?.answer as string)).toBe(answer.choices[0]?.message.content);
    expect(new Vault(Buffer.alloc(32, 8).toString("base64")).open(content?.prompt as string)).toBeUndefined();
  });

  it("reports by model, user and day, as JSON and as CSV", async () => {
    const database = await open();
    const { url } = await start(database);
    for (const user of ["usr_ann", "usr_ann", "usr_bob"])
      await (await post(url, "/v1/chat/completions", ASK, { "x-test-user": user })).text();
    await rows(database, 3);
    const get = async (path: string) => (await fetch(url + path)).text();
    expect(JSON.parse(await get("/api/usage/report?by=user")).data).toMatchObject([
      { name: "usr_ann", requests: 2, errors: 0 },
      { name: "usr_bob", requests: 1 },
    ]);
    expect(JSON.parse(await get("/api/usage/totals"))).toMatchObject({ requests: 3, errors: 0 });
    expect(JSON.parse(await get("/api/usage?limit=2&user=usr_ann")).data).toHaveLength(2);
    const [head, line] = (await get("/api/usage/report?by=model&format=csv")).split("\r\n");
    expect(head).toMatch(/^name,requests,errors/);
    expect(line).toMatch(/^sim-small,3,0,/);
  });

  it("goes on over a reload, and books what the old chain still answers with what it really used", async () => {
    const database = await open();
    const { held, release } = hold();
    const { url, gateway } = await start(database, {}, { plugins: [held] });
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

  it("forgets a user: the rows count for nobody, sums stay the same, and doing it again changes nothing", async () => {
    const database = await open();
    const { url } = await start(database, { content: "store", contentKey: Buffer.alloc(32, 7).toString("base64") });
    for (const user of ["usr_ann", "usr_bob", "usr_ann"])
      await (await post(url, "/v1/chat/completions", ASK, { "x-test-user": user, "user-agent": "ann-phone" })).text();
    await rows(database, 3);
    const contents = () => database.tables<Tables>().selectFrom("usage_contents").selectAll().execute();
    await vi.waitFor(async () => expect(await contents()).toHaveLength(3), { timeout: 5_000 });
    const span = { since: 0, until: Date.now() };
    const before = await report(database, "model", span);
    const data = personalData(database, undefined);
    expect((await data.export("usr_ann")).usage).toHaveLength(2);
    expect(await data.erase("usr_ann")).toBe(2);
    expect(await data.erase("usr_ann")).toBe(0);
    expect(await report(database, "model", span)).toEqual(before);
    expect((await report(database, "user", span)).map(({ name }) => name).toSorted()).toEqual(["erased", "usr_bob"]);
    expect(await contents()).toHaveLength(1);
    const left = JSON.stringify((await rows(database, 3)).filter(({ user_id }) => user_id === "erased"));
    expect(left).not.toMatch(/usr_ann|ann-phone|127\.0\.0\.1/);
  });

  it("removes what is older than it is to be kept, and no day's sum", async () => {
    const database = await open();
    const { url } = await start(database);
    await (await post(url, "/v1/chat/completions", ASK)).text();
    await rows(database, 1);
    await removeBefore(database, Date.now() - 86_400_000);
    await rows(database, 1);
    await removeBefore(database, Date.now() + 1_000);
    await rows(database, 0);
    expect(await report(database, "model", { since: 0, until: Date.now() })).toMatchObject([{ requests: 1 }]);
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

describe("a report as CSV", () => {
  it("holds no formula", async () => {
    const { csv } = await import("./reports.ts");
    const text = [...csv([{ name: '=HYPERLINK("x"),' } as never])].join("");
    expect(text).toContain(`"'=HYPERLINK(""x""),"`);
  });
});
