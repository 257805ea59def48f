import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { FEW_CONNECTIONS, startCrowd } from "../../../test/support/crowd.ts";
import { hasPostgres, type PostgresServer, startPostgres } from "../../../test/support/postgres.ts";
import { FakeLogger } from "../../testing/services.ts";
import type { Migrations } from "../database.ts";
import { isUnavailable } from "./errors.ts";
import { createDatabase } from "./open.ts";
import type { OwnedDatabase } from "./owned.ts";
import { prepareDatabase } from "./prepare.ts";

interface Tables {
  accounts: { id: string; balance: number };
}

const migrations: Migrations = {
  "test/0001-accounts": (db) =>
    db.schema
      .createTable("accounts")
      .addColumn("id", "text", (column) => column.primaryKey())
      .addColumn("balance", "bigint", (column) => column.notNull())
      .execute(),
};

describe.skipIf(!hasPostgres)("PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());

  function open(url: string, max = 10): OwnedDatabase {
    const database = createDatabase({ url, max, data: "", random: { next: Math.random }, logger: new FakeLogger() });
    onTestFinished(() => database.close());
    return database;
  }

  const fresh = () => server.database(`test_${randomUUID().replaceAll("-", "")}`);

  it("a first start makes its tables, also two at once; a later plugin's wait for `headgate migrate`, and one that is gone is no matter", async () => {
    const url = await fresh();
    await Promise.all([prepareDatabase(open(url), migrations), prepareDatabase(open(url), migrations)]);
    const more: Migrations = { ...migrations, "other/0001-more": (db) => db.schema.createTable("more").addColumn("id", "text").execute() };
    const database = open(url);
    await expect(prepareDatabase(database, more)).rejects.toThrow(/behind this config \(other\/0001-more\).*headgate migrate/);
    expect(await database.migrate(more)).toEqual(["other/0001-more"]);
    await prepareDatabase(open(url), more);
    await prepareDatabase(open(url), {});
    expect(await database.pending(more)).toEqual({ names: [], blank: false });
  });

  it("a migration that fails leaves nothing behind, and is named", async () => {
    const database = open(await fresh());
    const broken: Migrations = {
      ...migrations,
      "test/0002-broken": async (db) => {
        await db.schema.createTable("half").addColumn("id", "text").execute();
        throw new Error("no good");
      },
    };
    await expect(database.migrate(broken)).rejects.toThrow("the migration test/0002-broken failed: no good");
    expect(await database.migrate(migrations)).toEqual(["test/0001-accounts"]);
  });

  it("A12: two writers in opposite order deadlock, try again, and both get through", async () => {
    const database = open(await fresh());
    await database.migrate(migrations);
    await database
      .tables<Tables>()
      .insertInto("accounts")
      .values(["a", "b"].map((id) => ({ id, balance: 0 })))
      .execute();
    let tries = 0;
    const write = (order: readonly string[]) =>
      database.transaction<Tables, void>(async (db) => {
        tries += 1;
        for (const id of order) {
          await db
            .updateTable("accounts")
            .set((eb) => ({ balance: eb("balance", "+", 1) }))
            .where("id", "=", id)
            .execute();
          await sql`select pg_sleep(0.05)`.execute(db);
        }
      });
    await Promise.all([write(["a", "b"]), write(["b", "a"])]);
    expect(tries).toBeGreaterThan(2);
    const rows = await database.tables<Tables>().selectFrom("accounts").select("balance").execute();
    expect(rows).toEqual([{ balance: 2 }, { balance: 2 }]);
  });

  it("A12: a connection that is terminated within a transaction loses and doubles nothing", async () => {
    const database = open(await fresh());
    await database.migrate(migrations);
    let tries = 0;
    await database.transaction<Tables, void>(async (db) => {
      tries += 1;
      await db.insertInto("accounts").values({ id: "a", balance: 1 }).execute();
      if (tries === 1) await sql`select pg_terminate_backend(pg_backend_pid())`.execute(db);
    });
    expect(tries).toBe(2);
    expect(await database.tables<Tables>().selectFrom("accounts").selectAll().execute()).toEqual([{ id: "a", balance: 1 }]);
  });

  it("A12: a server without a connection to spare is asked again after pauses drawn by chance, and at last said to be away", async () => {
    const own = await startPostgres({ settings: FEW_CONNECTIONS });
    onTestFinished(() => own.stop());
    let draws = 0;
    const random = { next: () => 1 - ++draws / 100 };
    const database = createDatabase({ url: own.url, data: "", random, logger: new FakeLogger() });
    onTestFinished(() => database.close());
    await database.migrate(migrations);
    const crowd = await startCrowd(own.url);
    onTestFinished(() => crowd.stop());
    const put = (id: string) =>
      database.transaction<Tables, unknown>((db) => db.insertInto("accounts").values({ id, balance: 1 }).execute());
    await crowd.gather();
    await Promise.all([put("a"), sleep(100).then(crowd.leave)]);
    expect(draws).toBeGreaterThanOrEqual(2);
    await crowd.gather();
    draws = 0;
    const error = await put("b").catch((thrown: unknown) => thrown);
    expect([error, isUnavailable(error), draws]).toEqual([expect.objectContaining({ code: "53300" }), true, 4]);
    await crowd.leave();
    expect(await database.tables<Tables>().selectFrom("accounts").selectAll().execute()).toEqual([{ id: "a", balance: 1 }]);
  });

  it("A8: a pool whose connections are all taken refuses in time, and says that it is the database", async () => {
    const database = open(await fresh(), 1);
    const slow = sql`select pg_sleep(4)`.execute(database.tables());
    const error = await sql`select 1`.execute(database.tables()).catch((thrown) => thrown);
    expect(isUnavailable(error)).toBe(true);
    await slow;
  });

  it("A8: a server that is frozen is told from its health; afterwards it serves on, with no connection left over", async () => {
    const own = await startPostgres();
    onTestFinished(() => own.stop());
    const database = open(own.url, 2);
    await database.migrate(migrations);
    await Promise.all([1, 2].map(() => sql`select 1`.execute(database.tables())));
    own.pause();
    const errors = await Promise.all([1, 2, 3].map(() => sql`select 1`.execute(database.tables()).catch((thrown) => thrown)));
    expect(errors.map(isUnavailable)).toEqual([true, true, true]);
    expect(database.health().status).toBe("degraded");
    own.resume();
    // Nobody asks: it finds out by itself.
    await vi.waitFor(() => expect(database.health().status).toBe("ok"), { timeout: 15_000, interval: 50 });
    await vi.waitFor(
      async () => {
        const { rows } = await sql<{ n: number }>`select count(*) as n from pg_stat_activity where application_name = 'headgate'`.execute(
          database.tables(),
        );
        expect(rows[0]?.n).toBeLessThanOrEqual(2);
      },
      { timeout: 15_000, interval: 100 },
    );
  }, 60_000);

  it("listeners are told that they may have missed something after the server was killed", async () => {
    const own = await startPostgres();
    onTestFinished(() => own.stop());
    const [one, other] = [open(own.url), open(own.url)];
    const heard: (string | null)[] = [];
    other.subscribe("keys", (message) => heard.push(message));
    await vi.waitFor(() => expect(heard).toEqual([null]), { timeout: 10_000 });
    await own.restart();
    await vi.waitFor(() => expect(heard).toEqual([null, null]), { timeout: 15_000 });
    await one.publish("keys", "revoked");
    await vi.waitFor(() => expect(heard.at(-1)).toBe("revoked"));
    expect(isUnavailable(Object.assign(new Error("x"), { code: "42P01" }))).toBe(false);
  }, 60_000);

  it("no password shows in what it says", async () => {
    const database = open("postgres://someone:hunter2@127.0.0.1:1/db");
    const error = await sql`select 1`.execute(database.tables()).catch((thrown) => thrown);
    expect(isUnavailable(error)).toBe(true);
    expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain("hunter2");
  });
});
