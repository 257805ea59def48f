import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { onTestFinished } from "vitest";

/** A network of two machines on this one: the host, and a namespace that a link leads to. Needs root and iproute2. */
export interface Network {
  /** The host's address on the link. */
  readonly host: string;
  /** Runs Node code on the other machine. */
  run(code: string): ChildProcess;
  /** Takes the other machine's end of the link down, so that nothing comes or goes, and nobody is told. */
  pull(): void;
}

/** Builds one for the running test; undefined where that cannot be done. */
export function createNetwork(): Network | undefined {
  const name = `headgate-${process.pid}`;
  const link = `hg${process.pid % 1_000_000}`;
  const [host, peer] = ["10.213.77.1", "10.213.77.2"];
  const ip = (...args: string[]) => execFileSync("ip", args, { stdio: "pipe" });
  try {
    ip("netns", "add", name);
  } catch {
    return undefined;
  }
  onTestFinished(() => void ip("netns", "del", name));
  ip("link", "add", link, "type", "veth", "peer", "name", "peer0", "netns", name);
  onTestFinished(() => void ip("link", "del", link));
  ip("addr", "add", `${host}/30`, "dev", link);
  ip("link", "set", link, "up");
  ip("-n", name, "addr", "add", `${peer}/30`, "dev", "peer0");
  ip("-n", name, "link", "set", "peer0", "up");
  return {
    host,
    run(code) {
      const child = spawn("ip", ["netns", "exec", name, process.execPath, "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
      onTestFinished(() => void child.kill("SIGKILL"));
      return child;
    },
    pull: () => ip("-n", name, "link", "set", "peer0", "down"),
  };
}
