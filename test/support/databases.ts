import { randomUUID } from "node:crypto";
import type { Database, Migrations } from "headgate";
import { FakeLogger } from "headgate/testing";
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import type { OwnedDatabase } from "../../core/services/database/owned.ts";
import { hasPostgres, type PostgresServer, startPostgres } from "./postgres.ts";

/** Opens a fresh database with the tables of these migrations, and closes it after the test. */
export type OpenDatabase = (migrations?: Migrations) => Promise<OpenedDatabase>;

export interface OpenedDatabase extends Database {
  /** Another gateway's view of the same database. On SQLite the same as the first. */
  again(): Promise<Database>;
}

/**
 * One suite on both databases: SQLite in memory, and a real PostgreSQL where there is one.
 *
 *     eachDatabase("the ledger", (open) => {
 *       it("keeps what it is told", async () => {
 *         const database = await open(migrations);
 */
export function eachDatabase(name: string, suite: (open: OpenDatabase, dialect: Database["dialect"]) => void): void {
  describe(`${name}, on SQLite`, () => {
    const { opened } = opening();
    suite(async (migrations) => {
      const database = opened("sqlite::memory:");
      await database.migrate(migrations ?? {});
      return Object.assign(database, { again: async () => database });
    }, "sqlite");
  });
  describe.skipIf(!hasPostgres)(`${name}, on PostgreSQL`, () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres();
    });
    afterAll(() => server?.stop());
    const { opened } = opening();
    suite(async (migrations) => {
      const url = await server.database(`test_${randomUUID().replaceAll("-", "")}`);
      const database = opened(url);
      await database.migrate(migrations ?? {});
      return Object.assign(database, { again: async () => opened(url) });
    }, "postgres");
  });
}

/** Opens databases that are closed after each test. */
function opening(): { opened(url: string): OwnedDatabase } {
  const open: OwnedDatabase[] = [];
  afterEach(async () => {
    for (const database of open.splice(0)) await database.close();
  });
  return {
    opened(url) {
      const database = createDatabase({ url, data: "", random: { next: Math.random }, logger: new FakeLogger() });
      open.push(database);
      return database;
    },
  };
}
