import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Secret } from "../config/secret.ts";
import { GatewayError } from "../errors.ts";
import { LineSink } from "./log-sink.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";
import { createMetrics } from "./metrics-registry.ts";

function capture(level: LoggerOptions["level"] = "info") {
  const lines: string[] = [];
  const logger = createLogger({ level, metrics: createMetrics(), stream: { write: (line) => lines.push(line) } });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) as string) as Record<string, unknown> };
}

describe("log lines", () => {
  it("are JSON with level, epoch time, fields and message", () => {
    const { logger, last } = capture();
    const before = Date.now();
    logger.child({ request: "req_1" }).info({ status: 200 }, "request");
    expect(last()).toEqual({ level: "info", time: expect.any(Number), request: "req_1", status: 200, msg: "request" });
    expect(last().time).toBeGreaterThanOrEqual(before);
  });

  it("below the level are not written, and enabled() says so", () => {
    const { logger, lines } = capture("warn");
    logger.info("no");
    logger.warn("yes");
    expect(lines).toHaveLength(1);
    expect([logger.enabled("info"), logger.enabled("error"), capture("silent").logger.enabled("error")]).toEqual([false, true, false]);
  });

  it("hide values under secret names at any depth, in children too", () => {
    const { logger, lines } = capture();
    const canary = "canary-7f3a";
    const secrets = { authorization: canary, "x-api-key": [canary], apiKey: canary, "set-cookie": canary, password: { inner: canary } };
    logger
      .child({ token: canary })
      .warn({ request: { headers: secrets, list: [{ clientSecret: canary }] }, key: new Secret(canary) }, "refused");
    expect(lines.join()).not.toContain(canary);
  });

  it.each([
    "Incorrect API key provided: sk-proj-abcDEF123456",
    "sent Authorization: Bearer abcdefghijkl123",
    "connect redis://user:hunter2secret@cache:6379 failed",
    "GET https://host/v1?key=hunter2secret&alt=sse",
    "bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
  ])("mask what looks like a credential in messages, fields and errors: %s", (text) => {
    const { logger, lines } = capture("debug");
    logger.error({ note: text, err: new Error(text, { cause: text }) }, text);
    expect(lines.join()).not.toMatch(/abcDEF123456|abcdefghijkl123|hunter2secret|eyJzdWIi/);
    expect(() => JSON.parse(lines[0] as string)).not.toThrow();
  });

  it("keep figures whose names only sound secret", () => {
    const { logger, last } = capture();
    logger.info({ time_to_first_token: 12, tokens: "3" }, "request");
    expect(last()).toMatchObject({ time_to_first_token: 12, tokens: "3" });
  });

  it("carry an error's code, message and causes, and stacks at debug only", () => {
    const cause = Object.assign(new TypeError("socket closed"), { code: "ECONNRESET" });
    const err = new GatewayError("upstream_unreachable", { cause });
    const quiet = capture("info");
    quiet.logger.error({ err }, "failed");
    expect(quiet.last().err).toEqual({
      type: "GatewayError",
      code: "upstream_unreachable",
      message: err.message,
      cause: { type: "TypeError", code: "ECONNRESET", message: "socket closed" },
    });
    const loud = capture("debug");
    loud.logger.error({ err }, "failed");
    expect(loud.last().err).toMatchObject({ stack: expect.stringContaining("logger.test"), cause: { stack: expect.any(String) } });
  });

  it("survive fields that are circular, huge, foreign or named __proto__", () => {
    const { logger, lines } = capture();
    const circular: Record<string, unknown> = { n: 1n, text: "x".repeat(100_000), list: new Array(5_000).fill("y") };
    circular.self = circular;
    logger.info({ circular, parsed: JSON.parse('{"__proto__":{"polluted":true}}'), err: Object.create(null) }, "odd");
    expect((lines[0] as string).length).toBeLessThan(100_000);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

/** Writes 40,000 lines (8 MB) while timing its event loop, then reports on stderr and ends, as a crash would: with a line just written and nothing closed. */
const writer = `
  import { createLogger } from ${JSON.stringify(new URL("./logger.ts", import.meta.url).href)};
  import { createMetrics } from ${JSON.stringify(new URL("./metrics-registry.ts", import.meta.url).href)};
  const metrics = createMetrics();
  const logger = createLogger({ level: "info", metrics });
  let worst = 0, last = performance.now();
  for (let turn = 0; turn < 400; turn++) {
    for (let i = 0; i < 100; i++) logger.info({ turn, i, pad: "p".repeat(150) }, "line");
    await new Promise(setImmediate);
    worst = Math.max(worst, performance.now() - last);
    last = performance.now();
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  const dropped = [...metrics.collect()][0].points[0].value;
  logger.info("the last words of a process that ends at once");
  process.stderr.write(JSON.stringify({ dropped, worst, heap: process.memoryUsage().heapUsed }));
  process.exit(0);
`;

interface Report {
  dropped: number;
  worst: number;
  heap: number;
}

async function report(child: ChildProcess): Promise<Report> {
  let text = "";
  child.stderr?.on("data", (data) => {
    text += data;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(code).toBe(0);
  return JSON.parse(text) as Report;
}

function run(stdout: "pipe" | number): ChildProcess {
  return spawn(process.execPath, ["--input-type=module-typescript", "-e", writer], { stdio: ["ignore", stdout, "pipe"] });
}

describe("closing the sink", () => {
  it("waits for what is being written, but no longer than it was told to", async () => {
    const written: string[] = [];
    let done: (() => void) | undefined;
    const sink = new LineSink(
      (chunk, callback) => {
        written.push(chunk.toString());
        done = callback;
      },
      100,
      () => {},
    );
    sink.write("a\n");
    sink.write("b\n");
    await sink.flush(20);
    expect(written).toEqual(["a\nb\n"]);
    sink.write("c\n");
    const flushed = sink.flush(60_000);
    done?.();
    await new Promise(setImmediate);
    done?.();
    await flushed;
    expect(written).toEqual(["a\nb\n", "c\n"]);
  });
});

describe.skipIf(process.platform === "win32")("a sink that does not take lines (H7)", () => {
  it("is an orderly pipe: each line is read or counted, the last words too", async () => {
    const child = run("pipe");
    let lines = 0;
    child.stdout?.on("data", (data: Buffer) => {
      for (const byte of data) if (byte === 10) lines++;
    });
    const { dropped } = await report(child);
    expect(lines + dropped).toBe(40_001);
  });

  it("is a pipe whose reader is stopped: lines are dropped and counted, the process goes on and can end", async () => {
    const folder = mkdtempSync(join(tmpdir(), "headgate-log-"));
    const fifo = join(folder, "stdout");
    execFileSync("/bin/sh", ["-c", 'mkfifo "$0"', fifo]);
    const writeEnd = openSync(fifo, "r+");
    const reader = spawn("cat", [fifo], { stdio: "ignore" });
    reader.kill("SIGSTOP");
    const { dropped, worst, heap } = await report(run(writeEnd));
    reader.kill("SIGKILL");
    closeSync(writeEnd);
    rmSync(folder, { recursive: true });
    expect(dropped).toBeGreaterThan(20_000);
    expect(worst).toBeLessThan(500);
    expect(heap).toBeLessThan(64 * 1024 * 1024);
  });

  it("is a pipe whose reader has gone: lines are counted as dropped, EPIPE kills nothing", async () => {
    const child = run("pipe");
    child.stdout?.destroy();
    expect((await report(child)).dropped).toBeGreaterThan(30_000);
  });

  it.skipIf(process.platform !== "linux")("is a full disk: lines are counted as dropped", async () => {
    const full = openSync("/dev/full", "w");
    const child = run(full);
    closeSync(full);
    expect((await report(child)).dropped).toBe(40_000);
  });
});
