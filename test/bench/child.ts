import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Question, Reply } from "./talk.ts";

export interface ChildOptions {
  /** Arguments of `node`. */
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  /** The core it is held to; any when absent. */
  readonly core?: number | undefined;
  /** File descriptor of its standard output, which is dropped otherwise. */
  readonly stdout?: number;
}

/** A process of the bench that answers questions over its channel. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #last = 0;
  #stderr = "";
  #ended = false;

  constructor(name: string, { args, env = {}, core, stdout }: ChildOptions) {
    this.name = name;
    const command = [process.execPath, ...args];
    const [program = "", ...rest] = core === undefined ? command : ["taskset", "--cpu-list", String(core), ...command];
    this.#process = spawn(program, rest, {
      env: { ...process.env, NODE_ENV: "production", ...env },
      stdio: ["ignore", stdout ?? "ignore", "pipe", "ipc"],
    });
    this.#process.stderr?.on("data", (text: Buffer) => {
      this.#stderr = (this.#stderr + text).slice(-2000);
    });
    this.#process.on("message", (reply: Reply) => {
      const asked = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ("error" in reply) asked?.reject(new Error(reply.error));
      else asked?.resolve(reply.value as never);
    });
    this.#process.on("exit", (code, signal) => this.#failAll(`ended (${signal ?? code})\n${this.#stderr}`));
    this.#process.on("error", (error) => this.#failAll(error.message));
  }

  ask<Value>(name: string, details?: unknown): Promise<Value> {
    const question: Question = { id: ++this.#last, name, details };
    return new Promise<Value>((resolve, reject) => {
      this.#waiting.set(question.id, { resolve, reject });
      this.#process.send(question, (error) => {
        if (error) reject(new Error(`${this.name}: ${error.message}\n${this.#stderr}`));
      });
    });
  }

  #failAll(why: string): void {
    this.#ended = true;
    for (const { reject } of this.#waiting.values()) reject(new Error(`${this.name} ${why}`));
    this.#waiting.clear();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** What it last said on standard error. */
  get complaints(): string {
    return this.#stderr;
  }

  stop(): void {
    this.#process.kill("SIGKILL");
  }
}

export interface Cores {
  readonly proxy: number;
  readonly load: number;
  readonly upstream: number;
}

/** Which core is whose: the proxies have one to themselves. Undefined where processes cannot be held to a core. */
export function divideCores(): Cores | undefined {
  if (process.platform !== "linux" || spawnSync("taskset", ["--version"]).status !== 0) return undefined;
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  const cores = list.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  const [load, upstream, proxy = upstream] = cores;
  if (load === undefined || upstream === undefined || proxy === undefined) return undefined;
  return cores.length > 2 ? { load, upstream, proxy } : { load, upstream: load, proxy };
}
