// Runs the command line from its sources. In JavaScript, because only what is loaded after the cache is enabled comes compiled.
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

process.env.NODE_COMPILE_CACHE = fileURLToPath(new URL("../node_modules/.cache/headgate", import.meta.url));
enableCompileCache(process.env.NODE_COMPILE_CACHE);
await import("../core/cli/bin.ts");
