import { join } from "node:path";
import type { Logger } from "../logger.ts";
import type { Random } from "../random.ts";
import type { OwnedDatabase } from "./owned.ts";
import { PostgresDatabase, type PostgresOptions } from "./postgres.ts";
import { SqliteDatabase } from "./sqlite.ts";

export interface DatabaseOptions extends PostgresOptions {
  /** `postgres://…`, or `sqlite:` and a path (`sqlite::memory:` for one that is gone afterwards). */
  readonly url?: string | undefined;
  /** Folder of the embedded database that is used without a URL. */
  readonly data: string;
  readonly random: Random;
  readonly logger: Logger;
}

/** Does no I/O. Throws on a URL that names no database, without repeating it. */
export function createDatabase({ url, data, random, logger, ...options }: DatabaseOptions): OwnedDatabase {
  if (url === undefined) return new SqliteDatabase(join(data, "headgate.db"), random, logger);
  const path = /^sqlite:(.+)$/.exec(url)?.[1];
  if (path) return new SqliteDatabase(path.replace(/^\/\/(?=\/)/, ""), random, logger);
  return new PostgresDatabase(url, random, logger, options);
}
