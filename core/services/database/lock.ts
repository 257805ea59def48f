import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

/** How long to wait for a gateway that is just ending, in ms. */
const PATIENCE_MS = 500;
const SQLITE_BUSY = 5;

/**
 * Keeps a second gateway off a SQLite file. The lock is the operating system's, on a small file beside it, so it goes with
 * the process that holds it, however that ends. Rejects naming the holder. Returns how to give it up.
 */
export async function lockFile(path: string): Promise<() => void> {
  const [lockPath, pidPath] = [`${path}-lock`, `${path}-pid`];
  try {
    closeSync(openSync(lockPath, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const held = tryLock(lockPath);
    if (held) {
      writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
      return () => {
        rmSync(pidPath, { force: true });
        held.close();
      };
    }
    if (performance.now() > until) {
      throw new Error(
        `another gateway (process ${pidIn(pidPath)}) has the database ${path} open; stop it, or set \`data\` to another folder`,
      );
    }
    await sleep(50);
  }
}

function tryLock(path: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    lock.exec("pragma locking_mode = exclusive; begin exclusive");
    return lock;
  } catch (error) {
    lock.close();
    if ((((error as { errcode?: number }).errcode ?? 0) & 0xff) !== SQLITE_BUSY) throw error;
    return undefined;
  }
}

function pidIn(path: string): string {
  try {
    return readFileSync(path, "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}
