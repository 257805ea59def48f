import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Whether `redis-server` is on PATH: `describe.skipIf(!hasRedis)`. */
export const hasRedis = spawnSync("redis-server", ["--version"], { stdio: "ignore" }).status === 0;
if (!hasRedis) process.stderr.write("redis-server is not on PATH: tests that need it are skipped\n");

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Freezes it: sockets stay open, nothing answers. */
  pause(): void;
  resume(): void;
  /** Kills it at once; its port is empty afterwards. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
}

/** A real Redis of its own on a free loopback port, without persistence, ready to answer. */
export async function startRedis(options: { password?: string } = {}): Promise<RedisServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "headgate-redis-"));
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder];
  if (options.password) args.push("--requirepass", options.password);
  const start = async () => {
    const child = spawn("redis-server", args, { stdio: "ignore" });
    await answering(port, child);
    return child;
  };
  let child = await start();
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return {
    port,
    url: `redis://${options.password ? `:${options.password}@` : ""}127.0.0.1:${port}`,
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    kill,
    restart: async () => {
      await kill();
      child = await start();
    },
    stop: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A loopback port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function answering(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with code ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const reply = await Promise.race([
      once(socket, "data"),
      once(
        socket.once("connect", () => socket.write("PING\r\n")),
        "error",
      ),
    ]).catch((error: Error) => error);
    socket.destroy();
    if (Array.isArray(reply) && Buffer.isBuffer(reply[0])) return;
    await sleep(25);
  }
  throw new Error("redis-server did not answer within five seconds");
}
