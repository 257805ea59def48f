import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";

const BIN = fileURLToPath(new URL("bin.ts", import.meta.url));
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Running {
  readonly child: ChildProcess;
  /** Everything said on stderr so far. */
  said(): string;
  /** Resolves with the match once stderr has it; a pattern is looked for after the last match. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

function headgate(args: readonly string[], cwd: string): Running {
  const child = spawn(process.execPath, ["--conditions=headgate-source", BIN, ...args], { cwd, stdio: ["ignore", "ignore", "pipe"] });
  cleanups.push(() => child.kill("SIGKILL"));
  let text = "";
  let from = 0;
  let look = () => {};
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
    look();
  });
  const says = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      look = () => {
        const match = pattern.exec(text.slice(from));
        if (!match) return;
        from += match.index + match[0].length;
        look = () => {};
        resolve(match);
      };
      child.once("exit", () => reject(new Error(`ended without saying ${pattern}:\n${text}`)));
      look();
    });
  return { child, said: () => text, says };
}

function folderWith(config: string): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "headgate-serve-")));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "gateway.config.ts"), config);
  return folder;
}

const config = (mark: string, more = "") => `
import { defineGateway } from "headgate";
import { simulator } from "headgate/providers";
import { mark } from "./mark.ts";

export default defineGateway({
  server: { port: 0 },
  providers: [simulator({ speed: 0 })],
  plugins: [{ name: "${mark}", async handle(exchange, next) { exchange.headers.set("x-mark", mark); await next(); } }],
  models: { "it's me": "simulator/sim-small" },${more}
});
`;

async function markOf(url: string): Promise<string | null> {
  const body = JSON.stringify({ model: "it's me", messages: [{ role: "user", content: "Hello" }] });
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect(response.status).toBe(200);
  return response.headers.get("x-mark");
}

const URL_LINE = /Anthropic SDKs +(http:\S+)/;

test("start says where it serves, and the command it offers answers as pasted", async () => {
  const folder = folderWith(config("stamp"));
  writeFileSync(join(folder, "mark.ts"), 'export const mark = "one";');
  const { child, said, says } = headgate(["start"], folder);
  await says(/ready in \d+ ms/);
  expect(said()).toMatch(/headgate \d+\.\d+\.\d+ {2}gateway\.config\.ts/);
  expect(said()).toContain("  stamp\n  └ upstream/call → simulator\n");
  expect(said()).not.toContain("\u001b[");

  const curl = said().slice(said().indexOf("curl "), said().indexOf("ready in"));
  const shell = spawn("sh", ["-c", curl.trim().replace("curl ", "curl -sS ")], { stdio: ["ignore", "pipe", "inherit"] });
  const answer = await new Response(shell.stdout as unknown as ReadableStream).text();
  expect(JSON.parse(answer)).toMatchObject({ object: "chat.completion" });

  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("start on a taken port says so in one line and names another", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  cleanups.push(() => taken.close());
  const { port } = taken.address() as { port: number };
  const folder = folderWith(config("stamp"));
  writeFileSync(join(folder, "mark.ts"), 'export const mark = "one";');
  const { child, said } = headgate(["start", "--port", String(port)], folder);
  expect(await once(child, "exit")).toEqual([1, null]);
  expect(said()).toBe(`headgate: port ${port} on 127.0.0.1 is in use; stop what uses it, or choose another: --port ${port + 1}\n`);
});

test("a second signal ends what the first one waits for", async () => {
  const hanging = config("stamp").replace("await next();", 'console.error("under way"); await new Promise(() => {});');
  const folder = folderWith(hanging);
  writeFileSync(join(folder, "mark.ts"), 'export const mark = "one";');
  const { child, says } = headgate(["start"], folder);
  const [, url = ""] = await says(URL_LINE);
  await says(/ready in/);
  const call = fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify({ model: "it's me", messages: [{ role: "user", content: "Hello" }] }),
  });
  await says(/under way/);
  child.kill("SIGTERM");
  await says(/press again to stop now/);
  child.kill("SIGTERM");
  expect((await call).status).toBe(503);
  expect(await once(child, "exit")).toEqual([1, null]);
});

test("dev swaps in each save, of the config and of what it imports, and keeps what works when a save does not", async () => {
  const folder = folderWith(config("first"));
  const mark = join(folder, "mark.ts");
  writeFileSync(mark, 'export const mark = "one";');
  const { child, says } = headgate(["dev"], folder);
  const [, url = ""] = await says(URL_LINE);
  await says(/ready in/);
  expect(await markOf(url)).toBe("one");

  writeFileSync(mark, 'export const mark = "two";');
  await says(/reloaded in \d+ ms\n {2}first/);
  expect(await markOf(url)).toBe("two");

  writeFileSync(join(folder, "gateway.config.ts"), config("second", " lgo: {},"));
  await says(/1 mistake in gateway\.config\.ts.*did you mean "log"\?.*still serving the config before this edit/s);
  expect(await markOf(url)).toBe("two");

  writeFileSync(mark, "export const mark = ;");
  await says(/mark\.ts:1:\d+.*still serving/s);
  writeFileSync(mark, 'export const mark = "three";');
  writeFileSync(join(folder, "gateway.config.ts"), config("second"));
  await says(/reloaded in \d+ ms\n {2}second/);
  expect(await markOf(url)).toBe("three");

  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
});
