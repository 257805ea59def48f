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
/** For how long another may look through the folders before we do so all the same, in ms. */
const PATIENCE = 2_000;

/** Takes a slot below `<data>/instances`. Throws when the folder cannot be written. */
export function claimSlot(data: string): Slot {
  return alone(data, (root) => {
    for (let number = 0; number < MOST; number++) {
      const folder = join(root, String(number));
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const release = tryLock(join(folder, "lock"));
      if (release) return { folder, id: identity(folder), release };
    }
    throw new Error(`all ${MOST} instance folders in ${root} are in use`);
  });
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
 * Moves the segments that processes no longer there left in a spool of this name to the paths that
 * `place` gives; `onError` hears of what could not be moved. The folders stay: a process that comes back has to be the
 * instance that it was, for its name is on what it left open.
 */
export function adoptOrphans(data: string, own: Slot, spool: string, place: () => string, onError: (error: unknown) => void): void {
  alone(data, (root) => {
    for (const entry of readdirSync(root, { withFileTypes: true })) {
      const folder = join(root, entry.name);
      if (!entry.isDirectory() || folder === own.folder) continue;
      try {
        const release = tryLock(join(folder, "lock"));
        if (!release) continue;
        try {
          for (const name of segmentsIn(join(folder, spool))) renameSync(join(folder, spool, name), place());
        } finally {
          release();
        }
      } catch (error) {
        onError(error);
      }
    }
  });
}

/** One process at a time: a folder that is only being looked at must not seem taken to one that is starting. */
function alone<T>(data: string, work: (root: string) => T): T {
  const root = join(data, "instances");
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const release = tryLock(join(root, "lock"), PATIENCE);
  try {
    return work(root);
  } finally {
    release?.();
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
