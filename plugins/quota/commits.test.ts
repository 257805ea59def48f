import { FakeClock, FakeLogger } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { loseCommits } from "../../test/support/lost-commits.ts";
import { MemorySpools } from "../../test/support/memory-spools.ts";
import { hasPostgres, type PostgresServer, startPostgres } from "../../test/support/postgres.ts";
import { Keeper } from "./keeper.ts";
import { migrations, type Tables } from "./tables.ts";

const ANN = Keeper.account({
  id: "user:ann:tokens:once:0",
  kind: "user",
  subject: "ann",
  unit: "tokens",
  window: "once",
  span: { start: 0, end: null },
  limit: 10_000,
  rule: "plans.test",
});

/** What is in the way on to the database after the answer is lost: nothing, or everything for longer than it is tried again. */
const WAYS = [
  ["the connection is there again at once", 0],
  ["the database is away for a while", 1_200],
] as const;

describe.skipIf(!hasPostgres)("A11: a commit whose answer is lost", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());

  /** An instance that loses the answers to commits of transactions with the statement `of`, and what is seen of its books directly. */
  async function begin(name: string, of: string, times: number, away: number) {
    const url = await server.database(name);
    const open = (at: string) => {
      const database = createDatabase({ url: at, data: "", random: { next: Math.random }, logger: new FakeLogger() });
      onTestFinished(() => database.close());
      return database;
    };
    const seen = open(url);
    await seen.migrate(migrations);
    const way = await loseCommits({ url, of, times, away });
    const [clock, spools] = [new FakeClock(), new MemorySpools("ins_0")];
    const keeper = new Keeper({
      db: open(way.url),
      spools,
      clock,
      logger: new FakeLogger(),
      onBooked: () => undefined,
      onBegun: () => undefined,
    });
    await keeper.start();
    onTestFinished(() => keeper.abandon());
    const books = () => seen.tables<Tables>().selectFrom("quota_accounts").select(["used", "held"]).executeTakeFirst();
    const reserve = async (id: string, amount: number) => {
      const needs = [{ account: ANN, amount }];
      const had = keeper.tryReserve(id, needs);
      return had ? { kind: "reserved" as const, reservation: had } : keeper.reserve(id, needs).verdict;
    };
    /** Time goes by in which nobody calls, and what is written down is offered until it is taken. */
    const rest = async () => {
      await clock.advance(1_000);
      await spools.deliver().catch(() => undefined);
    };
    return { keeper, way, books, reserve, rest };
  }

  it.each(WAYS)(
    "books a settlement exactly once; %s",
    async (_, away) => {
      const { keeper, way, books, reserve, rest } = await begin(`settled_${away}`, "set used = used + v.a", 3, away);
      for (let call = 1; call <= 6; call++) {
        const verdict = await vi.waitFor(async () => {
          const had = await reserve(`req_${call}`, 100);
          if (had.kind !== "reserved") throw new Error(had.kind);
          return had;
        }, 10_000);
        keeper.opened(verdict.reservation);
        keeper.settle(verdict.reservation, () => 40);
        await vi.waitFor(
          async () => {
            await rest();
            expect(await books()).toMatchObject({ used: 40 * call });
          },
          { timeout: 10_000, interval: 20 },
        );
      }
      expect(way.lost).toBe(3);
      await vi.waitFor(
        async () => {
          await rest();
          expect(await books()).toEqual({ used: 240, held: 0 });
        },
        { timeout: 10_000, interval: 20 },
      );
    },
    60_000,
  );

  it.each(WAYS)(
    "leaves nothing of a lease behind that nobody has any more; %s",
    async (_, away) => {
      const { keeper, way, books, reserve, rest } = await begin(`leased_${away}`, 'insert into "quota_accounts"', 1, away);
      const verdict = await reserve("req_1", 100);
      expect([way.lost, verdict.kind]).toEqual([1, away > 0 ? "unavailable" : "reserved"]);
      expect((await books())?.held).toBeGreaterThanOrEqual(100);
      if (verdict.kind === "reserved") {
        keeper.opened(verdict.reservation);
        keeper.settle(verdict.reservation, () => 40);
      }
      await vi.waitFor(
        async () => {
          await rest();
          expect(await books()).toEqual({ used: verdict.kind === "reserved" ? 40 : 0, held: 0 });
        },
        { timeout: 10_000, interval: 20 },
      );
    },
    60_000,
  );
});
