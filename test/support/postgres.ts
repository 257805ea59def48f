import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { freePort } from "./redis.ts";

const BIN = binaries();
const ACCOUNT = account();

/** Whether PostgreSQL's server is on this machine: `describe.skipIf(!hasPostgres)`. */
export const hasPostgres = BIN !== undefined && ACCOUNT !== undefined;
if (!hasPostgres) process.stderr.write("there is no PostgreSQL server here: tests that need it are skipped\n");

export interface PostgresServer {
  readonly port: number;
  /** Of the database `postgres`. */
  readonly url: string;
  /** Makes a fresh database; resolves to its URL. */
  database(name: string): Promise<string>;
  /** Freezes it, every process of it: sockets stay open, nothing answers. */
  pause(): void;
  resume(): void;
  /** Kills it at once; its port is empty afterwards. */
  kill(): Promise<void>;
  /** Starts it again on the same port, with what it had. */
  restart(): Promise<void>;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
}

export interface PostgresSettings {
  /** Lines of `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** A real PostgreSQL of its own on a free loopback port, whose disk is not waited for, ready to answer. */
export async function startPostgres({ settings = {} }: PostgresSettings = {}): Promise<PostgresServer> {
  if (BIN === undefined || ACCOUNT === undefined) throw new Error("there is no PostgreSQL server here");
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "headgate-postgres-"));
  // initdb refuses to work for root.
  if (ACCOUNT.uid !== undefined) chownSync(folder, ACCOUNT.uid, ACCOUNT.gid as number);
  const as = { ...ACCOUNT, cwd: folder };
  const data = join(folder, "data");
  const made = spawnSync(join(BIN, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"], as);
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const all = {
    port,
    listen_addresses: "'127.0.0.1'",
    unix_socket_directories: "''",
    fsync: "off",
    synchronous_commit: "off",
    full_page_writes: "off",
    shared_buffers: "'32MB'",
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`);
  appendFileSync(join(data, "postgresql.conf"), lines.join(""));
  const url = `postgres://postgres@127.0.0.1:${port}`;
  const start = async () => {
    const child = spawn(join(BIN, "postgres"), ["-D", data], { ...as, stdio: "ignore" });
    // A test that is cut short leaves nothing running.
    process.once("exit", () => child.kill("SIGKILL"));
    await answering(`${url}/postgres`, child);
    return child;
  };
  let child = await start();
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of family(child.pid as number)) ignoringGone(() => process.kill(pid, signal));
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    signalAll("SIGKILL");
    await exited;
    rmSync(join(data, "postmaster.pid"), { force: true });
  };
  return {
    port,
    url: `${url}/postgres`,
    async database(name) {
      await runOnce(`${url}/postgres`, `create database "${name}" strategy file_copy`);
      return `${url}/${name}`;
    },
    pause: () => signalAll("SIGSTOP"),
    resume: () => signalAll("SIGCONT"),
    kill,
    async restart() {
      await kill();
      child = await start();
    },
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs one statement on a connection of its own. */
async function runOnce(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 20_000 });
  // Heard by the call itself.
  client.on("error", () => undefined);
  await client.connect();
  await client.query(text).finally(() => client.end());
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  for (const until = performance.now() + 20_000; performance.now() < until; await sleep(25)) {
    if (child.exitCode !== null) throw new Error(`postgres ended with code ${child.exitCode}`);
    const answered = await runOnce(url, "select 1").then(
      () => true,
      () => false,
    );
    if (answered) return;
  }
  throw new Error("postgres did not answer within twenty seconds");
}

/** A process and its children. */
function family(parent: number): number[] {
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter(
      (pid) =>
        ignoringGone(() => readFileSync(`/proc/${pid}/stat`, "utf8"))
          ?.split(") ")[1]
          ?.split(" ")[1] === String(parent),
    );
  return [parent, ...children.map(Number)];
}

function ignoringGone<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** The folder with `initdb` and `postgres`, the newest there is. */
function binaries(): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((one, other) => Number(other) - Number(one)) : [];
  const folders = [...versions.map((version) => join(root, version, "bin")), ...(process.env.PATH ?? "").split(":")];
  return folders.find((folder) => ["initdb", "postgres"].every((name) => existsSync(join(folder, name))));
}

/** Whose processes the server's are to be: our own, unless we are root. */
function account(): { readonly uid?: number; readonly gid?: number } | undefined {
  if (process.getuid?.() !== 0) return {};
  for (const name of ["postgres", "nobody"]) {
    const [, uid, gid] = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, "m").exec(readFileSync("/etc/passwd", "utf8")) ?? [];
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
