import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where what was compiled once is kept for the next start: beside the installed dependencies, so it has their owner. */
export const CACHE_FOLDER = join(fileURLToPath(import.meta.resolve("jiti/package.json")), "../../.cache/headgate");
