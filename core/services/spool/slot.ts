import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tryLock } from "../os-lock.ts";

/** A folder that belongs to one live process at a time: the first that nobody has, so that a restart gets its own back. */
export interface Slot {
  readonly folder: string;
  /** Made with the folder, and kept in it. */
  readonly id: string;
  release(): void;
}

/** More gateways than anyone runs on one folder: a sign that something starts them over and over. */
const MOST = 1000;

/** Takes a slot below `<data>/instances`. Throws when the folder cannot be written. */
export function claimSlot(data: string): Slot {
  const root = join(data, "instances");
  for (let number = 0; number < MOST; number++) {
    const folder = join(root, String(number));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const release = tryLock(join(folder, "lock"));
    if (release) return { folder, id: identity(folder), release };
  }
  throw new Error(`all ${MOST} instance folders in ${root} are in use`);
}

function identity(folder: string): string {
  const path = join(folder, "id");
  try {
    const id = readFileSync(path, "utf8").trim();
    if (/^ins_[0-9a-f]{32}$/.test(id)) return id;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const id = `ins_${randomBytes(16).toString("hex")}`;
  writeFileSync(`${path}.new`, `${id}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return id;
}

/**
 * Moves the segments that processes no longer there left in a spool of this name into `folder`, under the names that
 * `place` gives.
 */
export function adoptOrphans(data: string, own: Slot, spool: string, place: (path: string) => string): void {
  const root = join(data, "instances");
  for (const entry of readdirSync(root)) {
    const folder = join(root, entry);
    if (folder === own.folder) continue;
    const release = tryLock(join(folder, "lock"));
    if (!release) continue;
    for (const name of segmentsIn(join(folder, spool))) {
      const from = join(folder, spool, name);
      renameSync(from, place(from));
    }
    release();
  }
}

/** Names of segment files in their order; none when there is no such folder. */
export function segmentsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d{12}\.log$/.test(name))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
