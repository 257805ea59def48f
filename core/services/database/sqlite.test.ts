import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kysely, sql } from "kysely";
import { expect, it, onTestFinished, vi } from "vitest";
import { FakeLogger } from "../../testing/services.ts";
import { isUnavailable } from "./errors.ts";
import { Lane } from "./lane.ts";
import { createDatabase } from "./open.ts";
import type { OwnedDatabase } from "./owned.ts";
import { SqliteThreadDialect } from "./sqlite-dialect.ts";
import { SqliteThread } from "./sqlite-thread.ts";

interface Tables {
  notes: { id: number; text: string };
}

const notes = {
  "test/0001": async (db: ReturnType<OwnedDatabase["tables"]>) =>
    db.schema.createTable("notes").addColumn("id", "integer").addColumn("text", "text").execute(),
};

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "headgate-sqlite-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function open(data: string): OwnedDatabase {
  const database = createDatabase({ data, random: { next: () => 0 }, logger: new FakeLogger() });
  onTestFinished(() => database.close());
  return database;
}

/** Counts up for about as long as the machine takes for `rows`. */
const busy = (rows: number) =>
  sql<{ n: number }>`with recursive c(n) as (select 1 union all select n + 1 from c where n < ${rows}) select count(*) as n from c`;

it("the embedded database makes its folder and file for its owner alone, and nothing before it is asked", async () => {
  const data = join(temporaryFolder(), "kept");
  const database = open(data);
  expect(() => statSync(data)).toThrow(/ENOENT/);
  await database.migrate(notes as never);
  expect(statSync(data).mode & 0o777).toBe(0o700);
  for (const name of ["headgate.db", "headgate.db-wal"]) expect(statSync(join(data, name)).mode & 0o777).toBe(0o600);
});

it("A16: a long report holds up neither the event loop nor what is written meanwhile", async () => {
  const database = open(temporaryFolder());
  await database.migrate(notes as never);
  let over = false;
  const report = busy(3_000_000)
    .execute(database.reports())
    .then(({ rows }) => {
      over = true;
      return rows[0]?.n;
    });
  const inserted: number[] = [];
  for (let id = 0; id < 20; id++) {
    await database.tables<Tables>().insertInto("notes").values({ id, text: "x" }).execute();
    if (!over) inserted.push(id);
  }
  expect(inserted.length, "written while the report ran").toBe(20);
  expect(await report).toBe(3_000_000);
});

it("whole numbers stay whole, and those beyond 2^53 are refused", async () => {
  const database = open(temporaryFolder());
  const half = await sql<{ half: number }>`select ${5} / 2 as half`.execute(database.tables());
  expect(half.rows).toEqual([{ half: 2 }]);
  await expect(sql`select ${2 ** 60} as n`.execute(database.tables())).rejects.toThrow(/2\^53/);
  await expect(sql`select 9007199254740993 as n`.execute(database.tables())).rejects.toThrow(/too large/);
});

it("statements outside a transaction wait for it, and take no part in it", async () => {
  const database = open(temporaryFolder());
  await database.migrate(notes as never);
  let outside: Promise<unknown> | undefined;
  const inside = database.transaction<Tables, void>(async (db) => {
    await db.insertInto("notes").values({ id: 1, text: "in" }).execute();
    outside = database.tables<Tables>().insertInto("notes").values({ id: 2, text: "out" }).execute();
    throw new Error("no");
  });
  await expect(inside).rejects.toThrow("no");
  await outside;
  expect(await database.tables<Tables>().selectFrom("notes").select("id").execute()).toEqual([{ id: 2 }]);
});

it("transactions that come together all take effect, one after the other", async () => {
  const database = open(temporaryFolder());
  await database.migrate(notes as never);
  await database.tables<Tables>().insertInto("notes").values({ id: 0, text: "" }).execute();
  const add = () =>
    database.transaction<Tables, void>(async (db) => {
      const { id } = await db.selectFrom("notes").select("id").executeTakeFirstOrThrow();
      await db
        .updateTable("notes")
        .set({ id: id + 1 })
        .execute();
    });
  await Promise.all(Array.from({ length: 50 }, add));
  expect(await database.tables<Tables>().selectFrom("notes").select("id").execute()).toEqual([{ id: 50 }]);
});

it("a transaction that is left open is rolled back, so that others get on", async () => {
  const thread = new SqliteThread({ path: ":memory:", readOnly: false });
  onTestFinished(() => thread.close());
  const patient = new Kysely<Tables>({ dialect: new SqliteThreadDialect(thread, new Lane(), 30_000) });
  await notes["test/0001"](patient as never);
  const lane = new Lane();
  const db = new Kysely<Tables>({ dialect: new SqliteThreadDialect(thread, lane, 500) });
  const left = db.transaction().execute(async (tables) => {
    await tables.insertInto("notes").values({ id: 1, text: "left" }).execute();
    await vi.waitFor(() => expect(lane.free).toBe(true), { timeout: 10_000 });
    await db.transaction().execute((others) => others.insertInto("notes").values({ id: 2, text: "others" }).execute());
    await tables.insertInto("notes").values({ id: 3, text: "late" }).execute();
  });
  await expect(left).rejects.toThrow("the transaction was left open for too long");
  expect(await patient.selectFrom("notes").select("id").execute()).toEqual([{ id: 2 }]);
});

it("a command in another process is noticed by a running gateway", async () => {
  const data = temporaryFolder();
  const [gateway, command] = [open(data), open(data)];
  await gateway.claim();
  await gateway.migrate(notes as never);
  const heard: unknown[] = [];
  gateway.subscribe("keys", (message) => heard.push(message));
  await gateway.tables<Tables>().insertInto("notes").values({ id: 1, text: "own" }).execute();
  await vi.waitFor(async () => {
    await command.tables<Tables>().insertInto("notes").values({ id: 2, text: "foreign" }).execute();
    expect(heard).toContain(null);
  }, 10_000);
});

it("A15: a second gateway on the same file is refused, naming the process that has it; the first is unharmed", async () => {
  const data = temporaryFolder();
  const [first, second] = [open(data), open(data)];
  await first.claim();
  await first.migrate(notes as never);
  const asked = performance.now();
  await expect(second.claim()).rejects.toThrow(new RegExp(`another gateway \\(process ${process.pid}\\) has the database`));
  expect(performance.now() - asked).toBeLessThan(2_000);
  await first.tables<Tables>().insertInto("notes").values({ id: 1, text: "x" }).execute();
  await first.close();
  await second.claim();
  expect(await second.tables<Tables>().selectFrom("notes").selectAll().execute()).toHaveLength(1);
});

it("a mistake in a statement is told from a database that is not there", async () => {
  const database = open(temporaryFolder());
  const mistaken = await sql`selec`.execute(database.tables()).catch((error) => error);
  expect([mistaken.message, isUnavailable(mistaken)]).toEqual([expect.stringContaining("syntax error"), false]);
  const file = join(temporaryFolder(), "file");
  writeFileSync(file, "");
  const away = open(file);
  const unopened = await sql`select 1`.execute(away.tables()).catch((error) => error);
  expect([unopened.message, isUnavailable(unopened)]).toEqual([expect.any(String), true]);
  await database.close();
  expect(isUnavailable(await sql`select 1`.execute(database.tables()).catch((error) => error))).toBe(true);
});

it.each(["mysql://user:secret@host/db", "secret", "sqlite:"])("%s is no database, and is not repeated", (url) => {
  const making = () => createDatabase({ url, data: "", random: { next: () => 0 }, logger: new FakeLogger() });
  expect(making).toThrow(/^`database` needs a postgres:\/\/ URL, or sqlite: and a path$/);
});
