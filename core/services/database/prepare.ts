import type { Database, Migrations } from "../database.ts";
import { isOwned } from "./owned.ts";

/**
 * Makes a database ready for a gateway whose plugins have these migrations. They are run where that is safe: on the
 * embedded database, of which this gateway is the only user, and on a blank one. On another, which older instances may be
 * using, it rejects naming what is to be run. A database that the caller made itself is left alone.
 */
export async function prepareDatabase(database: Database, migrations: Migrations): Promise<void> {
  if (!isOwned(database)) return;
  await database.claim();
  const { names, blank } = await database.pending(migrations);
  if (names.length === 0) return;
  if (database.dialect === "postgres" && !blank) {
    throw new Error(`the database is behind this config (${names.join(", ")}); bring it up to date with: headgate migrate`);
  }
  await database.migrate(migrations);
}
