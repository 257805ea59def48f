// Makes a bare checkout runnable: installs the locked dependencies when they are missing or stale, and a Node 24 from
// the registry when the one at hand is too old. Plain JavaScript, because it runs on whatever Node the machine has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const NODE = "24.21.0";
const MINIMUM = [22, 19];
const stamp = `${root}node_modules/.headgate-setup`;

const lockHash = createHash("sha256")
  .update(readFileSync(`${root}package-lock.json`))
  .digest("hex");
const [major, minor] = process.versions.node.split(".").map(Number);
const tooOld = major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1]);
const wanted = `${lockHash} ${tooOld ? `node@${NODE}` : "own node"}`;

function npm(why, args) {
  process.stderr.write(`setup: ${why} (npm ${args.join(" ")})\n`);
  const { status } = spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (status !== 0) {
    process.stderr.write(`setup: npm ${args[0]} failed; run it by hand to see why, then try again\n`);
    process.exit(1);
  }
}

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  npm("installing the locked dependencies, once", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (tooOld) {
    const os = process.platform === "win32" ? "win" : process.platform;
    npm(`this machine's Node ${process.versions.node} is too old; adding Node ${NODE} beside it`, [
      "install",
      "--no-save",
      "--no-package-lock",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
      `node-${os}-${process.arch}@${NODE}`,
    ]);
  }
  writeFileSync(stamp, wanted);
}
