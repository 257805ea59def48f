import { type Migration, Migrator } from "kysely/migration";
import type { Migrations, Schemaless, SqlDialect } from "../database.ts";

const TABLE = "headgate_migrations";

/** Names of the steps that have not been run, in their order; `blank` when none ever was. */
export async function pendingSteps(db: Schemaless, migrations: Migrations): Promise<{ names: string[]; blank: boolean }> {
  const executed = await executedSteps(db);
  return {
    names: Object.keys(migrations)
      .sort()
      .filter((name) => !executed.includes(name)),
    blank: executed.length === 0,
  };
}

/** Runs what has not been run, in one transaction under the database's own lock; resolves to the names of what it ran. */
export async function runSteps(db: Schemaless, dialect: SqlDialect, migrations: Migrations): Promise<string[]> {
  // Looked up first: the migrator holds what may be the only connection.
  const known = { ...forgotten(await executedSteps(db)), ...prepared(migrations, dialect) };
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => known },
    migrationTableName: TABLE,
    migrationLockTableName: `${TABLE}_lock`,
    // Each plugin numbers its own.
    allowUnorderedMigrations: true,
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error) {
    const failed = results.find(({ status }) => status === "Error")?.migrationName;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(failed ? `the migration ${failed} failed: ${reason}` : `the migrations failed: ${reason}`, { cause: error });
  }
  return results.map(({ migrationName }) => migrationName);
}

async function executedSteps(db: Schemaless): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === TABLE)) return [];
  const rows: { name: string }[] = await db.selectFrom(TABLE).select("name").orderBy("name").execute();
  return rows.map(({ name }) => name);
}

/** Steps of plugins that have been taken out of the config since: their tables stay, and Kysely wants to know every name. */
function forgotten(executed: readonly string[]): Record<string, Migration> {
  return Object.fromEntries(executed.map((name) => [name, { up: async () => undefined }]));
}

function prepared(migrations: Migrations, dialect: SqlDialect): Record<string, Migration> {
  return Object.fromEntries(Object.entries(migrations).map(([name, step]) => [name, { up: (db) => step(db, dialect) }]));
}
