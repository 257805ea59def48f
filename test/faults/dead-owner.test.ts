import { FakeClock, FakeLogger } from "headgate/testing";
import { expect, it } from "vitest";
import { Keeper } from "../../plugins/quota/keeper.ts";
import { migrations, type Tables } from "../../plugins/quota/tables.ts";
import { memoryDatabase } from "../support/memory-database.ts";
import { MemorySpools } from "../support/memory-spools.ts";

it("D4: what an instance held that was killed is free after 60 s or little more, also where the others are busy all the time", async () => {
  const db = await memoryDatabase(migrations);
  const clock = new FakeClock();
  const account = Keeper.account({
    id: "user:ann:tokens:once:0",
    kind: "user",
    subject: "ann",
    unit: "tokens",
    window: "once",
    span: { start: 0, end: null },
    limit: 1_000,
    rule: "plans.test",
  });
  const start = async (instance: string) => {
    const spools = new MemorySpools(instance);
    const keeper = new Keeper({ db, spools, clock, logger: new FakeLogger(), onBooked: () => undefined, onBegun: () => undefined });
    await keeper.start();
    return { spools, keeper };
  };
  const call = async ({ keeper, spools }: Awaited<ReturnType<typeof start>>, id: string, amount: number) => {
    const needs = [{ account, amount }];
    const had = keeper.tryReserve(id, needs);
    const verdict = had ? ({ kind: "reserved", reservation: had } as const) : await keeper.reserve(id, needs).verdict;
    if (verdict.kind !== "reserved") throw new Error(verdict.kind);
    keeper.opened(verdict.reservation);
    await spools.deliver();
    return verdict.reservation;
  };
  const [killed, busy] = [await start("ins_killed"), await start("ins_busy")];
  await call(killed, "req_lost", 500);
  killed.keeper.abandon();
  for (let second = 0; second < 75; second++) {
    busy.keeper.settle(await call(busy, `req_${second}`, 10), () => 1);
    await busy.spools.deliver();
    await clock.advance(1_000);
  }
  busy.keeper.abandon();
  const slices = await db.tables<Tables>().selectFrom("quota_slices").select("amount").where("instance", "=", "ins_killed").execute();
  expect(slices).toEqual([]);
});
