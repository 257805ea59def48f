import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

const SQLITE_BUSY = 5;

/**
 * Takes a file as a lock that the operating system frees when its holder ends, however that ends; undefined when another
 * holds it, in this process or another, and keeps it for `waitMs`, for which the thread stands still. SQLite's own lock is
 * used, because Node has none. Returns how to give it up.
 */
export function tryLock(path: string, waitMs = 0): (() => void) | undefined {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const lock = new DatabaseSync(path, { timeout: waitMs });
  try {
    lock.exec("pragma locking_mode = exclusive; begin exclusive");
    return () => lock.close();
  } catch (error) {
    lock.close();
    if ((((error as { errcode?: number }).errcode ?? 0) & 0xff) !== SQLITE_BUSY) throw error;
    return undefined;
  }
}
