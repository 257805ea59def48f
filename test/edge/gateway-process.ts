import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Pool } from "undici";
import type { Answered } from "../support/error-body.ts";

const BIN = fileURLToPath(new URL("../../core/cli/bin.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("process.config.ts", import.meta.url));

export interface ProcessOptions {
  /** Environment of process.config.ts. */
  readonly env?: Record<string, string>;
  /** File descriptor of its standard output; discarded otherwise. */
  readonly stdout?: number;
  /** What it is run by: a program and its arguments. */
  readonly under?: readonly string[];
}

/** A gateway as `npm start` runs it, in a process of its own that can be crowded, starved and measured. */
export class GatewayProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #pool: Pool;
  #stderr: string;

  private constructor(child: ChildProcess, port: number, stderr: string) {
    this.#child = child;
    this.port = port;
    this.#stderr = stderr;
    this.#pool = new Pool(`http://127.0.0.1:${port}`, { connections: 16 });
    child.stderr?.on("data", (text) => {
      this.#stderr += text;
    });
  }

  static async start({ env = {}, stdout, under = [] }: ProcessOptions = {}): Promise<GatewayProcess> {
    const gateway = ["--conditions=headgate-source", BIN, "start", "--config", CONFIG, "--port", "0"];
    const [program = "", ...args] = [...under, process.execPath, ...gateway];
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", stdout ?? "ignore", "pipe"] });
    let said = "";
    const port = await new Promise<number>((resolve, reject) => {
      const read = (text: Buffer) => {
        said += text;
        const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1];
        if (!found) return;
        child.stderr?.off("data", read);
        resolve(Number(found));
      };
      child.stderr?.on("data", read);
      child.once("exit", (code) => reject(new Error(`the gateway ended with ${code}: ${said}`)));
      child.once("error", reject);
    });
    return new GatewayProcess(child, port, said);
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** All that it has said on standard error. */
  get complaints(): string {
    return this.#stderr;
  }

  async post(path: string, body: string | Uint8Array | object, headers: Record<string, string> = {}): Promise<Answered> {
    const bytes = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
    const answer = await this.#pool.request({
      method: "POST",
      path,
      body: bytes,
      headers: { "content-type": "application/json", ...headers },
    });
    return { status: answer.statusCode, headers: answer.headers as Record<string, string>, body: await answer.body.text() };
  }

  /** The sum of a metric's series that have this label, as `/metrics` states it now. */
  async metric(name: string, label = ""): Promise<number> {
    const { body } = await this.#pool.request({ method: "GET", path: "/metrics" });
    const series = (await body.text()).split("\n").filter((line) => /^[ {]/.test(line.replace(name, "")) && line.startsWith(name));
    return series.filter((line) => line.includes(label)).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  /** Most memory it has had so far, in MB. */
  get peakMemory(): number {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1]) / 1024;
  }

  /** CPU seconds it has used so far; the kernel counts in hundredths. */
  get cpu(): number {
    const [, fields = ""] = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ");
    const [user, system] = fields.split(" ").slice(11, 13);
    return (Number(user) + Number(system)) / 100;
  }

  /** Asks it to stop; resolves to its exit code. */
  async stop(): Promise<number | null> {
    await this.#pool.destroy();
    if (!this.alive) return this.#child.exitCode;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exited;
    return this.#child.exitCode;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
