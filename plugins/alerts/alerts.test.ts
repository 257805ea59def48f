import { type Binding, bind, Catalogue, Clock, Database, Directory, type EventMap, Events, HttpClient, type PluginHooks } from "headgate";
import { describePlugin, fakeServices, ScriptedUpstream } from "headgate/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { alerts } from "./index.ts";
import { memoryDatabase } from "./memory-database.ts";
import { migrations } from "./tables.ts";

const catalogue: Catalogue = {
  resolve: () => [],
  aliases: () => [],
  providers: () => [],
  models: () => [],
  find: () => undefined,
  cost: (_, { inputTokens, outputTokens }) => (inputTokens + outputTokens) * 1_000_000,
  start() {},
  stop() {},
};

const database = await memoryDatabase(migrations);
describePlugin("alerts", alerts, { services: () => [bind(Catalogue, catalogue), bind(Database, database)] });

const JANUARY = Date.UTC(2026, 0, 1);
const FEBRUARY = Date.UTC(2026, 1, 1);
const used = (percent: number, rest: object = {}) =>
  ({
    rule: "monthly",
    subject: "user:usr_ann",
    user: "usr_ann",
    unit: "tokens",
    window: "month",
    windowStart: JANUARY,
    windowEnd: FEBRUARY,
    used: percent * 10,
    limit: 1_000,
    additional: 0,
    percent,
    ...rest,
  }) as EventMap["quota.used"];

let hook: ScriptedUpstream;
beforeEach(async () => {
  hook = await ScriptedUpstream.start();
  hook.always({ status: 200 });
});
afterEach(() => hook.close());

it("tells a webhook", async () => {
  const db = await memoryDatabase(migrations);
  const fakes = fakeServices([bind(Catalogue, catalogue), bind(Database, db)]);
  const { definition, options } = alerts({ webhooks: [{ name: "ops", url: `${hook.url}/hook`, secret: "s3cret" }] });
  const hooks = definition.setup(definition.options.parse(options), fakes.scope.inject(definition.inject ?? {}));
  await hooks.start?.();
  fakes.scope.get(Events).emit("quota.used", used(81));
  const call = await hook.call(0);
  console.log(call.body, call.headers);
  await hooks.stop?.();
});
