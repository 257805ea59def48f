import type { Database, Migrations } from "../database.ts";

/** A database as the gateway that opened it sees it. Does no I/O before it is asked for something. */
export interface OwnedDatabase extends Database {
  /** Takes it for a gateway: of an embedded one there is only one at a time. Rejects, naming the process that has it. */
  claim(): Promise<void>;
  /** Names of the steps that have not been run, in their order. `blank` when none ever was. */
  pending(migrations: Migrations): Promise<{ readonly names: readonly string[]; readonly blank: boolean }>;
  /** Runs those steps, all of them or none; resolves to their names. Waits for another process that does the same. */
  migrate(migrations: Migrations): Promise<readonly string[]>;
  /** Lets what is under way finish, within its deadlines. */
  close(): Promise<void>;
}

/** False for one that a test or an embedding program made up itself. */
export function isOwned(database: Database | undefined): database is OwnedDatabase {
  return database !== undefined && "claim" in database;
}
