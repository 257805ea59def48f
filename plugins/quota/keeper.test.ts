import fc from "fast-check";
import type { Database } from "headgate";
import { FakeClock, FakeLogger } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { eachDatabase } from "../../test/support/databases.ts";
import { memoryDatabase } from "../../test/support/memory-database.ts";
import { MemorySpools } from "../../test/support/memory-spools.ts";
import type { LedgerAccount } from "./books.ts";
import type { Reservation } from "./budget.ts";
import { Keeper } from "./keeper.ts";
import { migrations, type Tables } from "./tables.ts";

const LIMIT = 1_000;
const TEAM: LedgerAccount = accountOf("team", "red", LIMIT * 1.5);

function accountOf(kind: "user" | "team", subject: string, limit: number): LedgerAccount {
  const id = `${kind}:${subject}:tokens:month:0`;
  const additional = `${kind}:${subject}:tokens:additional`;
  return { id, additional, kind, subject, unit: "tokens", window: "month", span: { start: 0, end: 1 }, limit, rule: "plans.test" };
}

interface Open {
  readonly reservation: Reservation<LedgerAccount>;
  readonly need: number;
}

interface Instance {
  keeper: Keeper;
  readonly spools: MemorySpools;
  readonly open: Open[];
}

async function started(db: Database, spools: MemorySpools, clock = new FakeClock()): Promise<Keeper> {
  const keeper = new Keeper({ db, spools, clock, logger: new FakeLogger(), onBooked: () => undefined, onBegun: () => undefined });
  await keeper.start();
  return keeper;
}

/** Several instances on one database, and what ought to stand in its books. */
class World {
  readonly #db: Database;
  readonly #clock = new FakeClock();
  readonly #instances: Instance[] = [];
  #calls = 0;
  #settled = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  async start(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const spools = new MemorySpools(`ins_${n}`);
      this.#instances.push({ spools, keeper: await this.#keeper(spools), open: [] });
    }
  }

  #keeper(spools: MemorySpools): Promise<Keeper> {
    return started(this.#db, spools, this.#clock);
  }

  async step({ kind, who, subject, amount }: Step): Promise<void> {
    const instance = this.#instances[who % this.#instances.length] as Instance;
    const { keeper, spools, open } = instance;
    if (kind === "call") {
      const needs = [accountOf("user", String(subject), LIMIT), TEAM].map((account) => ({ account, amount }));
      const id = `req_${this.#calls++}`;
      const had = keeper.tryReserve(id, needs);
      const verdict = had ? { kind: "reserved" as const, reservation: had } : await keeper.reserve(id, needs).verdict;
      if (verdict.kind === "unavailable") return orLost(verdict.cause);
      if (verdict.kind !== "reserved") return;
      keeper.opened(verdict.reservation);
      open.push({ reservation: verdict.reservation, need: amount });
    } else if (kind === "settle") {
      const [call] = open.splice(subject % Math.max(1, open.length), 1);
      if (!call) return;
      const used = Math.min(call.need, amount);
      this.#settled += used;
      keeper.settle(call.reservation, () => used);
    } else if (kind === "deliver") await spools.deliver().catch(orLost);
    else if (kind === "lose") this.#lose(true);
    else if (kind === "crash") {
      this.#lose(false);
      spools.crash(amount % 40);
      // Nobody knows what became of its calls: they count whole.
      for (const { need } of open.splice(0)) this.#settled += need;
      keeper.abandon();
      // Killed while it starts, too.
      spools.killAfter = amount % 3;
      await this.#keeper(spools).then(
        (started) => started.abandon(),
        () => undefined,
      );
      spools.killAfter = undefined;
      spools.crash(amount % 30);
      instance.keeper = await this.#keeper(spools);
    } else if (kind === "wait") await this.#clock.advance(2_000);
    else await this.#buy(subject, amount);
  }

  /** Whether the answer to the next commit is lost; PostgreSQL's are in commits.test.ts. */
  #lose(losing: boolean): void {
    if ("losing" in this.#db) this.#db.losing = losing;
  }

  async #buy(subject: number, amount: number): Promise<void> {
    const account = accountOf("user", String(subject), LIMIT);
    const row = {
      id: account.additional,
      kind: "user",
      subject: String(subject),
      unit: "tokens",
      window: "additional",
      rule: "additional",
    };
    await this.#db
      .tables<Tables>()
      .insertInto("quota_accounts")
      .values({ ...row, window_start: 0, window_end: null, limit_amount: amount, used: 0, held: 0 })
      .onConflict((conflict) =>
        conflict.column("id").doUpdateSet((old) => ({ limit_amount: old("quota_accounts.limit_amount", "+", amount) })),
      )
      .execute();
    for (const { keeper } of this.#instances) await keeper.changed();
  }

  /** Never more in use and on lease than allowed; every slice is in the books. */
  async check(): Promise<{ used: number; held: number; team: number }> {
    const tables = this.#db.tables<Tables>();
    const rows = await tables.selectFrom("quota_accounts").selectAll().execute();
    const slices = await tables.selectFrom("quota_slices").selectAll().execute();
    for (const { id, used, held, limit_amount } of rows) {
      expect(used + held, id).toBeLessThanOrEqual(limit_amount);
      expect(held, id).toBe(slices.reduce((sum, { account, amount }) => sum + (account === id ? amount : 0), 0));
    }
    const sum = (of: typeof rows, what: "used" | "held") => of.reduce((total, row) => total + row[what], 0);
    return {
      used: sum(
        rows.filter(({ kind }) => kind === "user"),
        "used",
      ),
      held: sum(rows, "held"),
      team: sum(
        rows.filter(({ kind }) => kind === "team"),
        "used",
      ),
    };
  }

  /** All calls end, all instances stop: the books say what was used, and nothing is held. */
  async rest(): Promise<void> {
    for (const { keeper, open } of this.#instances) {
      for (const { reservation, need } of open.splice(0)) {
        this.#settled += need;
        keeper.settle(reservation, () => need);
      }
    }
    this.#lose(false);
    // Long enough to look for slices that nobody was told of.
    for (let second = 0; second < 12; second++) {
      await this.#clock.advance(1_000);
      for (const { spools } of this.#instances) await spools.deliver();
    }
    for (const { keeper } of this.#instances) await keeper.stop();
    expect(await this.check()).toEqual({ used: this.#settled, team: this.#settled, held: 0 });
  }
}

const step = fc.record({
  kind: fc.constantFrom("call", "call", "call", "call", "settle", "settle", "settle", "deliver", "deliver", "wait", "lose", "crash", "buy"),
  who: fc.nat(2),
  subject: fc.nat(2),
  amount: fc.integer({ min: 1, max: 120 }),
});
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

function orLost(error: unknown): void {
  if ((error as Error).message !== "lost") throw error;
}

async function play(db: Database, steps: readonly Step[], every: number): Promise<void> {
  const world = new World(db);
  await world.start(3);
  for (const [n, one] of steps.entries()) {
    await world.step(one);
    if (n % every === 0) await world.check();
  }
  await world.rest();
}

describe("budgets of three instances on one database", () => {
  it("are never overrun, and nothing of them leaks, whatever happens in whatever order", async () => {
    const history = fc.array(step, { minLength: 50, maxLength: 300, size: "max" });
    await fc.assert(
      fc.asyncProperty(history, async (steps) => play(await memoryDatabase(migrations), steps, 1)),
      { numRuns: 20 },
    );
  }, 60_000);
});

it("D4: an instance that is gone loses its slices after a minute; what it settles late counts once, and it gives out nothing it lost", async () => {
  const db = await memoryDatabase(migrations);
  const clock = new FakeClock();
  const user = accountOf("user", "ann", LIMIT);
  const begin = async (instance: string) => {
    const spools = new MemorySpools(instance);
    const keeper = await started(db, spools, clock);
    return { spools, keeper };
  };
  const row = () =>
    db.tables<Tables>().selectFrom("quota_accounts").select(["used", "held"]).where("id", "=", user.id).executeTakeFirstOrThrow();
  const [gone, other] = [await begin("ins_gone"), await begin("ins_other")];
  const verdict = await gone.keeper.reserve("req_1", [{ account: user, amount: 600 }]).verdict;
  if (verdict.kind !== "reserved") throw new Error(verdict.kind);
  gone.keeper.opened(verdict.reservation);
  gone.keeper.abandon();
  expect(await row()).toEqual({ used: 0, held: 600 });
  await clock.advance(50_000);
  expect(gone.keeper.tryReserve("req_2", [{ account: user, amount: 1 }])).toBeUndefined();
  await clock.advance(30_000);
  expect(await row()).toEqual({ used: 0, held: 0 });
  const all = await other.keeper.reserve("req_3", [{ account: user, amount: LIMIT }]).verdict;
  expect(all.kind).toBe("reserved");
  gone.keeper.settle(verdict.reservation, () => 100);
  await gone.spools.deliver();
  await gone.spools.deliver();
  expect(await row()).toEqual({ used: 100, held: LIMIT });
  expect(gone.keeper.tryReserve("req_4", [{ account: user, amount: 1 }])).toBeUndefined();
  other.keeper.abandon();
});

it("A7: who pauses while the database is away goes on with what was set aside here; once it is back, what lies idle is given back", async () => {
  const db = await memoryDatabase(migrations);
  const clock = new FakeClock();
  const spools = new MemorySpools("ins_0");
  const keeper = await started(db, spools, clock);
  const needs = [{ account: accountOf("user", "ann", LIMIT), amount: 10 }];
  const call = () => {
    const reservation = keeper.tryReserve("req_1", needs);
    if (!reservation) throw new Error("nothing is left here");
    keeper.opened(reservation);
    keeper.settle(reservation, () => 10);
  };
  const leased = keeper.reserve("req_0", needs);
  await leased.verdict;
  leased.giveUp();
  db.away = true;
  for (let second = 0; second < 4; second++) {
    await clock.advance(1_000);
    call();
  }
  await clock.advance(20_000);
  call();
  db.away = false;
  await spools.deliver();
  await clock.advance(3_000);
  await spools.deliver();
  const row = await db.tables<Tables>().selectFrom("quota_accounts").select(["used", "held"]).executeTakeFirst();
  expect(row).toEqual({ used: 50, held: 0 });
  keeper.abandon();
});

it("a kill between two batches, while the books of the last run are closed, loses and doubles nothing", async () => {
  const db = await memoryDatabase(migrations);
  const user = accountOf("user", "ann", LIMIT);
  const spools = new MemorySpools("ins_0");
  const begin = () => started(db, spools);
  const first = await begin();
  const verdict = await first.reserve("req_lost", [{ account: user, amount: 600 }]).verdict;
  if (verdict.kind !== "reserved") throw new Error(verdict.kind);
  first.opened(verdict.reservation);
  for (let n = 0; n < 30; n++) {
    const small = first.tryReserve(`req_${n}`, []);
    if (small) first.opened(small);
  }
  first.abandon();
  spools.killAfter = 1;
  await expect(begin()).rejects.toThrow("killed");
  spools.killAfter = undefined;
  const last = await begin();
  const row = await db.tables<Tables>().selectFrom("quota_accounts").select(["used", "held"]).executeTakeFirst();
  expect(row).toEqual({ used: 600, held: 0 });
  last.abandon();
});

it("what a new file opens with does not hide a settlement that was still to be written into it when the process was killed", async () => {
  const db = await memoryDatabase(migrations);
  const user = accountOf("user", "ann", LIMIT);
  const spools = new MemorySpools("ins_0");
  const begin = () => started(db, spools);
  const first = await begin();
  const call = async (id: string) => {
    const verdict = await first.reserve(id, [{ account: user, amount: 10 }]).verdict;
    if (verdict.kind !== "reserved") throw new Error(verdict.kind);
    first.opened(verdict.reservation);
    return verdict.reservation;
  };
  const settled = await call("req_settled");
  for (let n = 0; n < 20; n++) await call(`req_open_${n}`);
  await spools.deliver();
  first.settle(settled, () => 7);
  first.abandon();
  spools.crash();
  spools.killAfter = 1;
  await expect(begin()).rejects.toThrow("killed");
  spools.killAfter = undefined;
  spools.crash();
  (await begin()).abandon();
  const row = await db.tables<Tables>().selectFrom("quota_accounts").select(["used", "held"]).executeTakeFirst();
  expect(row).toEqual({ used: 207, held: 0 });
});

eachDatabase("budgets of three instances", (open) => {
  it("hold and leak nothing, whatever happens in whatever order", async () => {
    const histories = fc.sample(fc.array(step, { minLength: 150, maxLength: 150, size: "max" }), { numRuns: 2, seed: 7 });
    for (const steps of histories) await play(await open(migrations), steps, 10);
  }, 60_000);
});
