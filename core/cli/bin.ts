#!/usr/bin/env -S node --max-semi-space-size=32 --min-semi-space-size=16 --no-memory-reducer
// More room for the young: what a call allocates dies with it, and is not worth promoting. From the start, for what is loaded.
// And no collection just because nothing is asked for: it throws away what V8 has learnt, and calls cost up to three times as much after it.
import { enableCompileCache } from "node:module";
import { CACHE_FOLDER } from "../config/cache.ts";

// Before anything else is loaded: from the second start on, all of it comes compiled.
enableCompileCache(CACHE_FOLDER);
const { main } = await import("./main.ts");
process.exitCode = await main(process.argv.slice(2));
// A plugin that left a handle open must not keep a finished command running.
setTimeout(() => process.exit(), 1_000).unref();
