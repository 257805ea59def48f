import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import type { LoopDelay } from "./loop-probe.ts";

const BIN = fileURLToPath(new URL("../../core/cli/bin.ts", import.meta.url));

export interface GatewaySettings {
  readonly UPSTREAM_URL: string;
  readonly HOST?: string;
  readonly DRAIN_MS?: number;
  readonly STALL_MS?: number;
  readonly BODY_BYTES?: number;
  /** Any free port unless given. */
  readonly PORT?: number;
  readonly DATA?: string;
  readonly LEDGER_DATABASE?: string;
  readonly LIMITS_REDIS?: string;
  /** Further plans, as JSON. */
  readonly PLANS?: string;
}

/** The real command line in a process of its own, so that its memory, event loop, signals and exit are its own. */
export interface GatewayProcess {
  readonly url: string;
  readonly port: number;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  signal(signal: NodeJS.Signals): void;
  /** Resident bytes now. */
  resident(): number;
  /** Most resident bytes since the last call. */
  peak(): number;
  /** Sum of the samples of a metric whose labels contain `labels`. */
  metric(name: string, labels?: string): Promise<number>;
  /** How long its event loop was held up since the last look. */
  loopDelay(): Promise<LoopDelay>;
  /** I8: the same process, no event-loop delay to speak of since the last look. */
  expectAlive(): Promise<void>;
}

/** The process from its first moment on, when it may not be up yet. */
export interface SpawnedGateway {
  readonly child: ChildProcess;
  /** What it wrote to stderr so far. */
  said(): string;
  /** Resolves to its address, once it answers there; rejects when it ends before. */
  readonly ready: Promise<string>;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
}

/** Starts it with a config from this folder, and ends it with the test. */
export function spawnGateway(settings: GatewaySettings, config = "process.config.ts"): SpawnedGateway {
  const variables = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
  const path = fileURLToPath(new URL(config, import.meta.url));
  const child = spawn(process.execPath, ["--conditions=headgate-source", BIN, "start", "--config", path], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...variables },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  const ready = new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const address = /Anthropic SDKs +(http:\S+)/.exec(said)?.[1];
      if (address && said.includes("ready in")) resolve(address.replace("0.0.0.0", "127.0.0.1"));
    });
    child.once("exit", () => reject(new Error(`the gateway did not start:\n${said}`)));
  });
  // Whoever waits for it hears of it.
  ready.catch(() => undefined);
  return { child, said: () => said, ready, exited: once(child, "exit").then(([code, signal]) => code ?? signal) };
}

/** Starts it, waits until it is up, and ends it with the test. */
export async function startGatewayProcess(settings: GatewaySettings): Promise<GatewayProcess> {
  const { child, ready, said, exited } = spawnGateway(settings);
  const url = await ready;
  const { pid } = child;
  const status = (field: string) => 1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  const get = async (path: string) => (await fetch(url + path, { headers: { connection: "close" } })).text();
  const loopDelay = async () => JSON.parse(await get("/loop-delay")) as LoopDelay;
  await loopDelay();
  return {
    url,
    port: Number(new URL(url).port),
    exited,
    signal: (signal) => void child.kill(signal),
    resident: () => status("VmRSS"),
    peak() {
      const most = status("VmHWM");
      // Linux: starts the high-water mark anew.
      writeFileSync(`/proc/${pid}/clear_refs`, "5");
      return most;
    },
    async metric(name, labels = "") {
      const lines = (await get("/metrics")).split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      return lines.filter((line) => line.includes(labels)).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    },
    loopDelay,
    async expectAlive() {
      expect([child.exitCode, child.signalCode, said().match(/Warning|Error/g)]).toEqual([null, null, null]);
      const { p99, worst } = await loopDelay();
      expect(p99 ?? 0, "event-loop delay, 99 %, in ms").toBeLessThan(50);
      expect(worst, "event-loop delay, worst, in ms").toBeLessThan(200);
    },
  };
}
