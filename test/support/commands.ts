import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, dirname } from "node:path";

/** Ms after which a command is ended, so that none outlives its test. */
const LONGEST = 60_000;

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Served {
  readonly url: string;
  /** What it said until it was ready. */
  readonly banner: string;
  /** Ends it as Ctrl-C would; resolves to its exit code. */
  stop(): Promise<number | null>;
}

/** The keys a developer has set must not turn a test into a call that somebody pays; this Node is the one on the PATH. */
function environment({ env }: CommandOptions): Record<string, string> {
  return { PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}`, HOME: process.env.HOME ?? "", ...env };
}

/** Runs a command to its end. */
export async function run(file: string, args: readonly string[], options: CommandOptions): Promise<Ran> {
  const child = spawn(file, args, { cwd: options.cwd, env: environment(options), stdio: ["ignore", "pipe", "pipe"], timeout: LONGEST });
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...said };
}

/** Starts a gateway by its command line and waits for the banner. */
export async function serve(file: string, args: readonly string[], options: CommandOptions): Promise<Served> {
  const child = spawn(file, args, { cwd: options.cwd, env: environment(options), stdio: ["ignore", "ignore", "pipe"], timeout: LONGEST });
  const exited = once(child, "exit") as Promise<[number | null]>;
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (/ready in \d+ ms/.test(said)) resolve();
    });
    child.once("error", reject).once("exit", (code) => reject(new Error(`ended with ${code} before it was ready:\n${said}`)));
  });
  const url = /Anthropic SDKs +(http:\S+)/.exec(said)?.[1] ?? "";
  return {
    url,
    banner: said,
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}
