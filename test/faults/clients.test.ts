import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { isChat } from "headgate";
import { answerIn, FakeRandom, framesIn, gate, ScriptedUpstream, silence, sse, type UpstreamCall } from "headgate/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { startGatewayProcess } from "../support/gateway-process.ts";
import { type Rig, type RigOptions, startRig } from "../support/rig.ts";
import { dialectOf, UPSTREAMS } from "../support/scripted-provider.ts";
import { ask, askAndSee, bodyOf, CLIENTS, type ClientDialect, PATHS, see } from "../support/sse-client.ts";

const MATRIX = CLIENTS.flatMap((client) => UPSTREAMS.map((upstream) => ({ client, upstream })));
const TEXT = Array.from({ length: 10 }, (_, index) => ` word${index}`);
const MB = 1024 * 1024;

let rig: Rig;
const start = async (options: RigOptions = {}) => {
  rig = await startRig(options);
  onTestFinished(rig.stop);
};

/** A call as bytes, for clients that are no good HTTP clients. */
function rawCall(client: ClientDialect, model: string, more: { stream?: boolean; content?: string } = {}): string {
  const body = bodyOf({ model, ...more });
  return `POST ${PATHS[client]} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket.on("error", () => undefined);
}

/** An endless answer, in `upstream`'s dialect, a frame at a time. */
async function* endless(upstream: (typeof UPSTREAMS)[number]) {
  const frames = framesIn(upstream, { text: TEXT });
  const word = frames.findLast((frame) => frame.includes('" word8"')) as string;
  yield* frames.slice(0, 4);
  for (;;) {
    yield word;
    yield { until: new Promise((resolve) => setImmediate(resolve)) };
  }
}

/** How long the provider's end lasted after `since`, in ms. */
async function lasted(call: UpstreamCall, since: number): Promise<number> {
  expect(await call.closed).toBe("gone");
  return performance.now() - since;
}

describe("C1: a client that leaves in the middle of its stream", () => {
  it("1,000 times, at a random chunk: the provider is let go of within a second, and what it produced is on the books", async () => {
    await start();
    const random = new FakeRandom(1);
    const waits: number[] = [];
    const calls = new Map<string, UpstreamCall>();
    const read = new Map<string, number>();
    rig.upstream.always((call) => {
      const content = /call-\d+/.exec(call.body)?.[0] as string;
      calls.set(content, call);
      return sse(endless(dialectOf(call)));
    });
    const leave = async (index: number) => {
      const { client, upstream } = MATRIX[index % MATRIX.length] as (typeof MATRIX)[number];
      const content = `call-${index}`;
      const pieces = Math.floor(random.next() * 12);
      const socket = await connected(rig.port);
      socket.write(rawCall(client, `${upstream}/m`, { content }));
      let seen = 0;
      let words = 0;
      await new Promise<void>((resolve) => {
        socket.on("data", (data: Buffer) => {
          words += data.toString().match(/ word\d/g)?.length ?? 0;
          if (seen++ >= pieces) resolve();
        });
      });
      const left = performance.now();
      if (random.next() < 0.5) socket.destroy();
      else socket.resetAndDestroy();
      read.set(content, words * " word8".length);
      waits.push(await lasted(calls.get(content) as UpstreamCall, left));
    };
    let next = 0;
    const worker = async () => {
      while (next < 1_000) await leave(next++);
    };
    await Promise.all(Array.from({ length: 20 }, worker));

    expect(Math.max(...waits)).toBeLessThan(1_000);
    await rig.outcome(999);
    for (const { exchange, outcome } of rig.settled) {
      const content = String(isChat(exchange) && exchange.request.messages[0]?.content);
      expect(outcome).toMatchObject({ kind: "cancelled", status: 499, estimated: true, error: { code: "client_closed" } });
      // I1: no less than the client read, no more than the provider sent.
      const billed = (outcome.usage?.outputTokens ?? 0) * 4;
      const produced = (calls.get(content) as UpstreamCall).sent.join("").match(/ word\d/g)?.length ?? 0;
      expect(billed).toBeGreaterThanOrEqual(read.get(content) as number);
      expect(billed).toBeLessThan(produced * " word8".length + 4);
      expect(outcome.usage?.inputTokens).toBeGreaterThan(0);
    }
  });
});

describe("C2: a client that leaves before the first byte", () => {
  it.each(CLIENTS.flatMap((client) => [true, false].map((stream) => ({ client, stream }))))(
    "$client (stream: $stream): 50 times, at any moment, it takes the provider's call with it",
    async ({ client, stream }) => {
      await start();
      rig.upstream.always(silence());
      const random = new FakeRandom(2);
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const socket = await connected(rig.port);
          socket.write(rawCall(client, "openai-chat/m", { stream }));
          // Real time on purpose: the moment is what is tried.
          await new Promise((resolve) => setTimeout(resolve, random.next() * 200));
          socket.destroy();
        }),
      );
      const left = performance.now();
      await vi.waitFor(() => expect(rig.upstream.calls.filter(({ outcome }) => outcome === "open")).toEqual([]), {
        timeout: 1_000,
        interval: 2,
      });
      for (const call of rig.upstream.calls) await lasted(call, left);
      for (const { outcome } of rig.settled) expect(outcome).toMatchObject({ kind: "cancelled", status: 499, usage: null });
    },
  );

  it("leaves nothing behind when a plugin goes on after it left", async () => {
    const entered = gate();
    const held = gate();
    await start({
      plugins: [
        {
          name: "slow",
          async handle(_, next) {
            entered.open();
            await held.until;
            await next();
          },
        },
      ],
    });
    const socket = await connected(rig.port);
    socket.write(rawCall("openai-chat", "openai-chat/m"));
    await entered.until;
    socket.destroy();
    expect(await rig.outcome(0)).toMatchObject({ kind: "cancelled" });
    held.open();
    await new Promise((resolve) => setImmediate(resolve));
    expect(rig.upstream.accepted).toBe(0);
    expect(rig.settled[0]?.exchange.attempts).toEqual([]);
  });
});

/** Frames of 64 KB, `megabytes` in all, then the end. */
function* flood(megabytes: number) {
  const frames = framesIn("openai-chat", { text: TEXT });
  const big = Buffer.from(frames[2]?.replace(" word1", "x".repeat(64 * 1024 - 200)) ?? "");
  yield* frames.slice(0, 2);
  for (let sent = 0; sent < megabytes * MB; sent += big.length) yield big;
  yield* frames.slice(-3);
}

describe("C4: a client that never reads", () => {
  it("50 at once, of 192 MB each: the provider is held back, memory stays, and they are dropped at the stall limit", async () => {
    const upstream = await ScriptedUpstream.start();
    onTestFinished(() => upstream.close());
    upstream.next(answerIn("openai-chat", { text: TEXT })).always(() => sse(flood(192)));
    // Long enough for a 99th percentile: what fills the buffers at the beginning is some thirty megabytes in a few turns.
    const gateway = await startGatewayProcess({ UPSTREAM_URL: upstream.url, STALL_MS: 8_000 });
    await askAndSee(gateway.url, "openai-chat", { model: "openai-chat/m" });
    gateway.peak();
    const before = gateway.resident();
    const sockets = await Promise.all(Array.from({ length: 50 }, () => connected(gateway.port)));
    for (const socket of sockets) {
      socket.pause();
      socket.write(rawCall("openai-chat", "openai-chat/m"));
    }
    const calls = await Promise.all(sockets.map((_, index) => upstream.call(index + 1)));
    await Promise.all(calls.map(({ closed }) => closed));
    expect(calls.map(({ outcome }) => outcome)).toEqual(calls.map(() => "gone"));
    for (const call of calls) expect(call.sentBytes).toBeLessThan(32 * MB);
    expect(gateway.peak() - before).toBeLessThan(50 * 8 * MB);
    await vi.waitFor(async () => expect(await gateway.metric("headgate_requests_total", 'outcome="cancelled"')).toBe(50), 2_000);
    expect(await gateway.metric("headgate_requests_in_flight")).toBe(0);
    await gateway.expectAlive();
    for (const socket of sockets) socket.destroy();
  });

  it.each(MATRIX.filter(({ upstream }) => upstream === "openai-chat"))(
    "$client: one that reads on in time gets it all, though the provider's own deadline is shorter",
    async ({ client }) => {
      await start({ server: { limits: { stallMs: 5_000 } }, upstream: { idleMs: 1_000 } });
      rig.upstream.next(sse(flood(16)));
      const response = await ask(rig.url, client, { model: "openai-chat/m" });
      await heldBack();
      await rig.clock.advance(4_999);
      expect(rig.settled).toEqual([]);
      const seen = await see(client, response);
      expect(seen).toMatchObject({ ended: true, errors: [] });
      expect(seen.text.length).toBeGreaterThan(15 * MB);
    },
  );

  it("is dropped at the stall limit, and not before", async () => {
    await start({ server: { limits: { stallMs: 5_000 } } });
    rig.upstream.next(sse(flood(64)));
    const response = await ask(rig.url, "openai-chat", { model: "openai-chat/m" });
    await heldBack();
    await rig.clock.advance(4_999);
    expect(rig.settled).toEqual([]);
    await rig.clock.advance(1);
    expect(await rig.outcome(0)).toMatchObject({ kind: "cancelled", error: { message: "The client did not read its answer." } });
    expect((await see("openai-chat", response)).broken).toBe(true);
  });

  it("is dropped at the call's own deadline too, with an answer in one piece", async () => {
    await start({ server: { limits: { callMs: 5_000 } } });
    rig.upstream.next(answerIn("openai-chat", { text: ["x".repeat(24 * MB)] }));
    const response = await ask(rig.url, "openai-chat", { model: "openai-chat/m", stream: false });
    await (await rig.upstream.call(0)).closed;
    await rig.clock.advance(5_500);
    expect(await rig.outcome(0)).toMatchObject({ kind: "cut", error: { code: "deadline_exceeded" } });
    expect((await see("openai-chat", response)).broken).toBe(true);
  });

  it("C5: that leaves while it is waited for is noticed at once", async () => {
    await start();
    rig.upstream.always(() => sse(flood(64)));
    for (let round = 0; round < 20; round++) {
      const response = await ask(rig.url, CLIENTS[round % 2] as ClientDialect, { model: "openai-chat/m" });
      await heldBack();
      const left = performance.now();
      response.destroy();
      expect(await lasted(await rig.upstream.call(round), left)).toBeLessThan(1_000);
      expect(await rig.outcome(round)).toMatchObject({ kind: "cancelled", estimated: true });
    }
  });

  /** Until the gateway waits for its client: nothing more comes from the provider. */
  async function heldBack(): Promise<void> {
    let last = -1;
    await vi.waitFor(
      () => {
        const sent = rig.upstream.calls.at(-1)?.sentBytes ?? 0;
        const moving = sent !== last;
        last = sent;
        expect(moving).toBe(false);
      },
      { timeout: 5_000, interval: 30 },
    );
  }
});

describe("C6: a client behind a line that is quiet or dead", () => {
  it.each(MATRIX)("$client from $upstream: silence is filled with comments, at most 15 s apart", async ({ client, upstream }) => {
    await start();
    const thought = gate();
    const frames = framesIn(upstream, { text: TEXT });
    rig.upstream.next(sse([...frames.slice(0, 6), thought, ...frames.slice(6)]));
    const response = await ask(rig.url, client, { model: `${upstream}/m` });
    let comments = 0;
    const reading = see(client, response, (soFar) => {
      comments = soFar.comments;
    });
    for (let beat = 1; beat <= 3; beat++) {
      await rig.clock.advance(15_000);
      await vi.waitFor(() => expect(comments).toBeGreaterThanOrEqual(beat), { interval: 2 });
    }
    thought.open();
    expect(await reading).toMatchObject({ ended: true, text: TEXT.join(""), errors: [] });
  });

  it("a stopped process with data on its way is dropped at the stall limit", async () => {
    const upstream = await ScriptedUpstream.start();
    onTestFinished(() => upstream.close());
    upstream.always(() => sse(flood(192)));
    const gateway = await startGatewayProcess({ UPSTREAM_URL: upstream.url, STALL_MS: 1_500 });
    const client = reader(gateway.port, rawCall("openai-chat", "openai-chat/m"));
    await once(client.stdout as NonNullable<ChildProcess["stdout"]>, "data");
    client.kill("SIGSTOP");
    const stopped = performance.now();
    expect(await lasted(await upstream.call(0), stopped)).toBeLessThan(5_000);
    await vi.waitFor(async () => expect(await gateway.metric("headgate_requests_total", 'outcome="cancelled"')).toBe(1), 2_000);
    expect(await gateway.metric("headgate_requests_in_flight")).toBe(0);
    await gateway.expectAlive();
  });

  /** A client in a process of its own, which reads what comes and says so once. */
  function reader(port: number, bytes: string): ChildProcess {
    const script = `const s = require('net').connect(${port}, '127.0.0.1', () => s.write(${JSON.stringify(bytes)})); s.once('data', () => console.log('reading')); s.resume()`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  }
});
