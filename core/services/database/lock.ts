import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { tryLock } from "../os-lock.ts";

/** How long to wait for a gateway that is just ending, in ms. */
const PATIENCE_MS = 500;

/**
 * Keeps a second gateway off a SQLite file. The lock is the operating system's, on a small file beside it, so it goes with
 * the process that holds it, however that ends. Rejects naming the holder. Returns how to give it up.
 */
export async function lockFile(path: string): Promise<() => void> {
  const [lockPath, pidPath] = [`${path}-lock`, `${path}-pid`];
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const release = tryLock(lockPath);
    if (release) {
      writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
      return () => {
        rmSync(pidPath, { force: true });
        release();
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

function pidIn(path: string): string {
  try {
    return readFileSync(path, "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}
