import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newKey } from "./key.ts";

const FILE = "development-key";

/**
 * The key kept in `folder`, made when there is none. It is the one key that is kept as it is, readable by its owner alone,
 * so that every start can show the same; that is why it works from this machine only.
 */
export function developmentKey(folder: string): string {
  const path = join(folder, FILE);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(path, `${newKey("hg_dev_").text}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const key = readFileSync(path, "utf8").trim();
  if (!/^hg_dev_[\w-]{43}$/.test(key)) throw new Error(`${path} holds no key; delete it, and the next start makes another`);
  return key;
}
