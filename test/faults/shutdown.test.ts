import { once } from "node:events";
import { Agent, get, request } from "node:http";
import { connect, type Socket } from "node:net";
import { answerIn, framesIn, gate, type Responder, ScriptedUpstream, sse, type Wait } from "headgate/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { type GatewayProcess, type GatewaySettings, startGatewayProcess } from "../support/gateway-process.ts";
import { expectNoSilentTruncation } from "../support/rig.ts";
import { dialectOf, UPSTREAMS } from "../support/scripted-provider.ts";
import { ask, bodyOf, CLIENTS, type ClientDialect, PATHS, type Seen, see } from "../support/sse-client.ts";

const TEXT = Array.from({ length: 30 }, (_, index) => ` word${index}`);
const WHOLE = TEXT.join("");
const MATRIX = CLIENTS.flatMap((client) => UPSTREAMS.map((upstream) => ({ client, upstream })));

let upstream: ScriptedUpstream;
let gateway: GatewayProcess;

async function start(responder: Responder, settings: Partial<GatewaySettings> = {}): Promise<void> {
  upstream = await ScriptedUpstream.start();
  onTestFinished(() => upstream.close());
  upstream.always(responder);
  gateway = await startGatewayProcess({ UPSTREAM_URL: upstream.url, ...settings });
}

/** Streams through every pair of dialects; resolves once each has had its first content. */
async function openStreams(count: number): Promise<{ readonly client: ClientDialect; readonly seen: Promise<Seen> }[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const { client, upstream: provider } = MATRIX[index % MATRIX.length] as (typeof MATRIX)[number];
      const response = await ask(gateway.url, client, { model: `${provider}/m` });
      const begun = Promise.withResolvers<void>();
      const seen = see(client, response, () => begun.resolve());
      await begun.promise;
      return { client, seen };
    }),
  );
}

/** An answer in the dialect that is asked for, held before its second half until `held` opens. */
function halting(held: Wait): Responder {
  return (call) => {
    const frames = framesIn(dialectOf(call), { text: TEXT });
    return sse([...frames.slice(0, 10), held, ...frames.slice(10)]);
  };
}

describe("C7: SIGTERM under load", () => {
  it("200 streams end whole, newcomers are sent away, idle connections are closed, and it exits 0", async () => {
    const open = gate();
    open.open();
    await start(halting(open));
    // Once, so that what is measured is not the compiler.
    for (const { seen } of await openStreams(100)) await seen;
    await gateway.loopDelay();
    const held = gate();
    upstream.always(halting(held));
    const streams = await openStreams(200);
    const idle = await Promise.all(Array.from({ length: 20 }, () => idleConnection()));
    const idleClosed = Promise.all(idle.map((socket) => once(socket, "close")));
    await gateway.expectAlive();

    gateway.signal("SIGTERM");
    await idleClosed;
    expect(await statusOf("/health/ready")).toEqual({ status: 503, connection: "close" });
    expect(await statusOf("/health/live")).toEqual({ status: 200, connection: "close" });
    for (const client of CLIENTS) {
      const response = await ask(gateway.url, client, { model: "openai-chat/m" });
      expect(response.headers.connection).toBe("close");
      expect(await see(client, response)).toMatchObject({ status: 503, errors: [expect.objectContaining({ type: expect.any(String) })] });
    }

    held.open();
    for (const { seen } of streams) {
      expect(await seen).toMatchObject({ status: 200, text: WHOLE, ended: true, errors: [], broken: false });
    }
    expect(await gateway.exited).toBe(0);
    expect(upstream.calls.filter(({ outcome }) => outcome !== "whole")).toEqual([]);
    await expect(statusOf("/health/live")).rejects.toThrow(/ECONNREFUSED/);
  });

  it("a client that reads slowly still gets all of its answer, to the last byte", async () => {
    const text = Array.from({ length: 32 }, () => "x".repeat(512 * 1024));
    await start(answerIn("openai-chat", { text }));
    const slow = await Promise.all([true, false].map((stream) => ask(gateway.url, "openai-chat", { model: "openai-chat/m", stream })));
    gateway.signal("SIGTERM");
    await until503();
    // Longer than the gateway gives connections to close once all calls have ended.
    await new Promise((resolve) => setTimeout(resolve, 600));
    for (const response of slow) {
      const seen = await see("openai-chat", response);
      expect(seen).toMatchObject({ ended: true, errors: [], broken: false });
      expect(seen.text === text.join(""), "the whole text").toBe(true);
    }
    expect(await gateway.exited).toBe(0);
  });

  it("a request whose body is still arriving is served", async () => {
    await start(answerIn("openai-chat", { text: TEXT }));
    const body = bodyOf({ model: "openai-chat/m" });
    const sent = request(`${gateway.url}${PATHS["openai-chat"]}`, {
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    });
    const answered = once(sent, "response");
    sent.write(body.slice(0, 20));
    await once(sent, "socket");
    await statusOf("/health/live");
    gateway.signal("SIGTERM");
    await until503();
    await new Promise((resolve) => setTimeout(resolve, 400));
    sent.end(body.slice(20));
    const [response] = await answered;
    expect(await see("openai-chat", response)).toMatchObject({ status: 200, text: WHOLE, ended: true, errors: [] });
    expect(await gateway.exited).toBe(0);
  });
});

describe("C8: what cannot finish in time", () => {
  it("at the drain limit every stream gets an error event, and it exits 0 within two seconds", async () => {
    await start(halting(gate()), { DRAIN_MS: 1_000 });
    const streams = await openStreams(40);
    const signalled = performance.now();
    gateway.signal("SIGTERM");
    await expectCut(streams);
    expect(performance.now() - signalled).toBeGreaterThan(1_000);
    expect(await gateway.exited).toBe(0);
    expect(performance.now() - signalled).toBeLessThan(3_000);
    for (const call of upstream.calls) expect(await call.closed).toBe("gone");
  });

  it.each([
    ["SIGTERM", "SIGTERM"],
    ["SIGINT", "SIGINT"],
    ["SIGTERM", "SIGINT"],
  ] as const)("%s, then %s: every stream gets an error event at once, and it exits 1", async (first, second) => {
    await start(halting(gate()));
    const streams = await openStreams(16);
    gateway.signal(first);
    await until503();
    const signalled = performance.now();
    gateway.signal(second);
    await expectCut(streams);
    expect(await gateway.exited).toBe(1);
    expect(performance.now() - signalled).toBeLessThan(2_000);
  });

  it("SIGINT alone drains as SIGTERM does", async () => {
    const held = gate();
    await start(halting(held));
    const streams = await openStreams(8);
    gateway.signal("SIGINT");
    await until503();
    held.open();
    for (const { seen } of streams) expect(await seen).toMatchObject({ text: WHOLE, ended: true, errors: [] });
    expect(await gateway.exited).toBe(0);
  });

  it("clients that do not read do not hold it up", async () => {
    const big = framesIn("openai-chat", { text: ["x".repeat(512 * 1024)] });
    await start(() => sse([...big.slice(0, 1), ...Array.from({ length: 64 }, () => big[1] as string), gate()]), { DRAIN_MS: 500 });
    await Promise.all(Array.from({ length: 8 }, () => ask(gateway.url, "openai-chat", { model: "openai-chat/m" })));
    const signalled = performance.now();
    gateway.signal("SIGTERM");
    expect(await gateway.exited).toBe(0);
    expect(performance.now() - signalled).toBeLessThan(2_500);
  });

  it("a client that is slow at the limit still reads why its stream ended", async () => {
    const big = framesIn("openai-chat", { text: ["x".repeat(512 * 1024)] });
    await start(() => sse([...big.slice(0, 1), ...Array.from({ length: 32 }, () => big[1] as string), gate()]), { DRAIN_MS: 1_000 });
    const response = await ask(gateway.url, "openai-chat", { model: "openai-chat/m" });
    gateway.signal("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const seen = await see("openai-chat", response);
    expect(seen).toMatchObject({
      ended: false,
      errors: [expect.objectContaining({ code: "shutting_down" })],
      last: "error",
      broken: false,
    });
    expect(await gateway.exited).toBe(0);
  });

  async function expectCut(streams: Awaited<ReturnType<typeof openStreams>>): Promise<void> {
    for (const { seen } of streams) {
      const cut = await seen;
      expectNoSilentTruncation(cut, WHOLE);
      expect(cut).toMatchObject({ ended: false, errors: [expect.objectContaining({ message: expect.stringMatching(/shutting down/) })] });
      expect(cut.text).not.toBe("");
    }
  }
});

/** A connection that has had an answer and waits. */
async function idleConnection(): Promise<Socket> {
  const socket = connect(gateway.port, "127.0.0.1");
  socket.write("GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await once(socket, "data");
  return socket;
}

async function statusOf(path: string): Promise<{ status: number | undefined; connection: string | undefined }> {
  const [response] = await once(get(gateway.url + path, { agent: new Agent({ keepAlive: true, maxSockets: 1 }) }), "response");
  response.resume();
  return { status: response.statusCode, connection: response.headers.connection };
}

/** Until the signal has been taken. */
async function until503(): Promise<void> {
  for (;;) if ((await statusOf("/health/ready")).status === 503) return;
}
