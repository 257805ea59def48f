// Emits what is published: core, plugins and presets as JavaScript with declarations, in dist.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
rmSync(`${root}dist`, { recursive: true, force: true });
const tsc = fileURLToPath(import.meta.resolve("typescript/package.json")).replace(/package\.json$/, "bin/tsc");
const { status } = spawnSync(process.execPath, [tsc, "-p", `${root}.dev/tsconfig.build.json`], { stdio: "inherit" });
// The compiler copies the manifest that version.ts reads; left there, dist would look like a package of its own.
rmSync(`${root}dist/package.json`, { force: true });
process.exitCode = status ?? 1;
