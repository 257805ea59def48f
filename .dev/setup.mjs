// Makes a bare checkout runnable: installs the locked dependencies when they are missing or stale, and a Node 24 from
// the registry when the one at hand is too old. Plain JavaScript, because it runs on whatever Node the machine has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const NODE = "24.21.0";
const MINIMUM = [22, 19];
const QUIET = ["--no-audit", "--no-fund", "--loglevel=error"];
const stamp = `${root}node_modules/.headgate-setup`;

const lock = createHash("sha256")
  .update(readFileSync(`${root}package-lock.json`))
  .digest("hex");
const [major, minor] = process.versions.node.split(".").map(Number);
// An earlier run may have put the Node that runs this now into node_modules, which `npm ci` empties.
const ours = process.execPath.startsWith(`${root}node_modules`);
const needsNode = ours || major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1]);

function npm(why, args) {
  process.stderr.write(`setup: ${why} (npm ${args.join(" ")})\n`);
  const { status } = spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (status !== 0) {
    process.stderr.write(`setup: npm ${args[0]} failed; run it by hand to see why, then try again\n`);
    process.exit(1);
  }
}

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lock) {
  npm("installing the locked dependencies, once", ["ci", "--ignore-scripts", ...QUIET]);
  writeFileSync(stamp, lock);
}
if (needsNode && !existsSync(`${root}node_modules/.bin/node`)) {
  const os = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${os}-${process.arch}@${NODE}`;
  npm(`adding Node ${NODE}, for this machine's own is too old`, [
    "install",
    "--no-save",
    "--no-package-lock",
    "--ignore-scripts",
    ...QUIET,
    name,
  ]);
}
