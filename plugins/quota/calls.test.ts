import {
  type Attempt,
  bind,
  type Caller,
  Catalogue,
  Database,
  type EventMap,
  Events,
  type GatewayError,
  Spools,
  type Usage,
} from "headgate";
import { quota } from "headgate/plugins";
import { exchange, type FakeClock, type FakeExchange, fakeServices } from "headgate/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { memoryDatabase } from "../../test/support/memory-database.ts";
import { MemorySpools } from "../../test/support/memory-spools.ts";
import { migrations, type Tables } from "./tables.ts";

const ANN: Caller = { user: "usr_ann", key: "key_ann", team: null, plan: "small", segment: "standard", role: "user", name: "ann" };
const FREE = {
  resolve: () => [],
  aliases: () => [],
  providers: () => [],
  models: () => [],
  find: () => undefined,
  cost: () => 0,
  start() {},
  stop() {},
};

interface Instance {
  readonly clock: FakeClock;
  readonly told: { readonly name: string; readonly windowStart: number; readonly used: number }[];
  /** Sets aside what a call needs; undefined, or how it was refused. */
  admit(call: FakeExchange): Promise<GatewayError | undefined>;
  deliver(): Promise<void>;
}

type Options = Parameters<typeof quota>[0];

/** The plugin alone, all of it driven by a fake clock. */
async function start(db: Awaited<ReturnType<typeof memoryDatabase>>, options: Options, name = "ins_0"): Promise<Instance> {
  const { definition } = quota(options);
  const spools = new MemorySpools(name);
  const { scope, clock } = fakeServices([bind(Database, db), bind(Spools, spools), bind(Catalogue, FREE)]);
  const told: Instance["told"] = [];
  for (const event of ["quota.used", "quota.reset", "quota.blocked"] as const) {
    scope.get(Events).on(event, ({ windowStart, used }: EventMap[typeof event]) => void told.push({ name: event, windowStart, used }));
  }
  const hooks = definition.setup(definition.options.parse(options), scope.inject(definition.inject ?? {}));
  await hooks.start?.();
  onTestFinished(async () => {
    db.away = false;
    await hooks.stop?.();
  });
  return {
    clock,
    told,
    deliver: () => spools.deliver(),
    async admit(call) {
      call.caller = ANN;
      let error: GatewayError | undefined;
      const handled = (async () => hooks.handle?.(call, async () => undefined))().catch((thrown: GatewayError) => {
        error = thrown;
      });
      await clock.runUntil(handled);
      return error;
    },
  };
}

let number = 0;
const callFor = (maxTokens: number) => exchange({ id: `req_${number++}`, request: { max_tokens: maxTokens } });

/** A try at a provider that used so much. */
const attempt = (inputTokens: number, outputTokens: number): Attempt => ({
  id: `att_${number++}`,
  target: { provider: "test", model: "test-model" },
  startedAt: 0,
  usage: { inputTokens, outputTokens, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 } as Usage,
});

async function accountsOf(db: Database) {
  return db
    .tables<Tables>()
    .selectFrom("quota_accounts")
    .select(["unit", "window_start", "used", "held"])
    .orderBy("window_start")
    .execute();
}

describe("a call", () => {
  it("D2: of five at once only those pass that the limit covers, and what all use stays below it", async () => {
    const db = await memoryDatabase(migrations);
    const { admit, deliver } = await start(db, { plans: { small: ["100 tokens/day"] } });
    const calls = [40, 140, 60, 95, 75].map(callFor);
    const errors = await Promise.all(calls.map(admit));
    const passed = calls.filter((_, n) => errors[n] === undefined);
    expect(passed.length).toBeGreaterThan(0);
    expect(errors.filter(Boolean).every((error) => error?.code === "insufficient_quota")).toBe(true);
    for (const call of passed) {
      call.attempts.push(attempt(8, (call.request as { max_tokens: number }).max_tokens));
      await call.settle();
    }
    await deliver();
    const [{ used } = { used: 0 }] = await accountsOf(db);
    expect(used).toBeGreaterThan(0);
    expect(used).toBeLessThanOrEqual(100);
  });

  it("D11: is charged what all its attempts used together, once, and counts as one", async () => {
    const db = await memoryDatabase(migrations);
    const { admit, deliver } = await start(db, { plans: { small: ["1000 tokens/day", "10 requests/day"] } });
    const call = callFor(100);
    expect(await admit(call)).toBeUndefined();
    const failed: Attempt = { ...attempt(0, 0) };
    failed.usage = undefined as never;
    call.attempts.push(attempt(10, 5), failed, attempt(10, 20));
    await call.settle();
    await call.settle();
    await deliver();
    await deliver();
    const used = Object.fromEntries((await accountsOf(db)).map((row) => [row.unit, row.used]));
    expect(used).toEqual({ tokens: 45, requests: 1 });
  });

  it.each([
    [-5, 10],
    [Number.NaN, 1],
    [1e300, 1],
    [0.5, 1],
    [Number.POSITIVE_INFINITY, 0],
  ])("D10: of %d and %d tokens is charged what was set aside, and credits nothing", async (input, output) => {
    const db = await memoryDatabase(migrations);
    const { admit, deliver } = await start(db, { plans: { small: ["1000 tokens/day"] } });
    const call = callFor(100);
    expect(await admit(call)).toBeUndefined();
    call.attempts.push(attempt(input, output));
    await call.settle();
    await deliver();
    const [row] = await accountsOf(db);
    expect(row?.used).toBeGreaterThan(100);
    expect(row?.used).toBeLessThan(200 + JSON.stringify(call.wire).length);
  });

  it("D15: over the end of a window is counted in the one in which it began, and the new one is told of once", async () => {
    const db = await memoryDatabase(migrations);
    const options = { plans: { small: ["1000 tokens/day"] } };
    const [one, two] = [await start(db, options, "ins_0"), await start(db, options, "ins_1")];
    for (const { clock } of [one, two]) clock.shiftWall(86_400_000 - 1_000);
    const [early, late] = [callFor(100), callFor(100)];
    expect(await one.admit(early)).toBeUndefined();
    for (const { clock } of [one, two]) clock.shiftWall(2_000);
    early.attempts.push(attempt(10, 30));
    await early.settle();
    await one.deliver();
    expect(await two.admit(late)).toBeUndefined();
    expect(await one.admit(callFor(10))).toBeUndefined();
    late.attempts.push(attempt(1, 2));
    await late.settle();
    await two.deliver();
    const day = Date.parse("2026-01-01T00:00:00Z");
    expect((await accountsOf(db)).map(({ window_start, used }) => [window_start, used])).toEqual([
      [day, 40],
      [day + 86_400_000, 3],
    ]);
    const resets = [...one.told, ...two.told].filter(({ name }) => name === "quota.reset");
    expect(resets).toEqual([{ name: "quota.reset", windowStart: day + 86_400_000, used: 0 }]);
  });

  it("passes while the database is away as long as what is held suffices; then none does, until it is back", async () => {
    const db = await memoryDatabase(migrations);
    const { admit, deliver, clock } = await start(db, { plans: { small: ["10000 tokens/day"] } });
    const settled = async (call: FakeExchange) => {
      call.attempts.push(attempt(8, 40));
      await call.settle();
    };
    const first = callFor(40);
    expect(await admit(first)).toBeUndefined();
    await settled(first);
    db.away = true;
    const answers: (string | undefined)[] = [];
    for (let n = 0; n < 40; n++) {
      const call = callFor(40);
      const error = await admit(call);
      if (!error) await settled(call);
      answers.push(error?.code);
    }
    const passed = answers.filter((code) => code === undefined).length;
    expect(passed).toBeGreaterThan(1);
    expect(answers.slice(passed).every((code) => code === "dependency_unavailable")).toBe(true);
    expect(answers.length - passed).toBeGreaterThan(1);
    db.away = false;
    await clock.advance(1_000);
    const last = callFor(40);
    expect(await admit(last)).toBeUndefined();
    await settled(last);
    await deliver();
    expect((await accountsOf(db))[0]?.used).toBe(48 * (passed + 2));
  });

  it("tells how a limit stands about once a second, and the latest always", async () => {
    const db = await memoryDatabase(migrations);
    const { admit, deliver, clock, told } = await start(db, { plans: { small: ["100 requests/day"] } });
    for (let n = 0; n < 10; n++) {
      const call = callFor(10);
      expect(await admit(call)).toBeUndefined();
      call.attempts.push(attempt(1, 1));
      await call.settle();
      await deliver();
      await clock.advance(100);
    }
    await clock.advance(1_000);
    const used = told.filter(({ name }) => name === "quota.used").map((event) => event.used);
    expect(used.length).toBeLessThanOrEqual(3);
    expect(used.at(-1)).toBe(10);
  });
});
