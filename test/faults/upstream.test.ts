import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import {
  type AnswerDialect,
  answerIn,
  cut,
  framesIn,
  gate,
  gzipBomb,
  hugeLine,
  json,
  redirect,
  type Script,
  ScriptedUpstream,
  silence,
  silenceAfterHead,
  sse,
} from "headgate/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { connectionsTo, countsConnections } from "../support/connections.ts";
import { startGatewayProcess } from "../support/gateway-process.ts";
import { expectNoSilentTruncation, type Rig, type RigOptions, startRig } from "../support/rig.ts";
import { failover, provider, UPSTREAMS } from "../support/scripted-provider.ts";
import { ask, askAndSee, CLIENTS, see } from "../support/sse-client.ts";

const TEXT = Array.from({ length: 25 }, (_, index) => ` word${index}`);
const WHOLE = TEXT.join("");
const MB = 1024 * 1024;
const MATRIX = CLIENTS.flatMap((client) => UPSTREAMS.map((upstream) => ({ client, upstream })));

let rig: Rig;
const start = async (options: RigOptions = {}) => {
  rig = await startRig(options);
  onTestFinished(rig.stop);
};

/** Streams that fail before they say anything, by the dialect they are in. */
const STILLBORN: [what: string, dialect: AnswerDialect, script: Script, status: number][] = [
  [
    "Anthropic's message_start, then overloaded_error",
    "anthropic-messages",
    sse([
      ...framesIn("anthropic-messages", { id: "msg_stillborn", text: WHOLE }).slice(0, 2),
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    ]),
    503,
  ],
  [
    "a first frame that is an error",
    "openai-chat",
    sse(['data: {"error":{"message":"stillborn","type":"invalid_request_error","code":400}}\n\n']),
    502,
  ],
  [
    "a role, then an error",
    "openai-chat",
    sse([
      ...framesIn("openai-chat", { id: "stillborn", text: WHOLE }).slice(0, 1),
      'event: error\ndata: {"error":{"message":"stillborn"}}\n\n',
    ]),
    502,
  ],
  ["a role, then the end", "openai-chat", sse(framesIn("openai-chat", { id: "stillborn", text: WHOLE }).slice(0, 1)), 502],
  ["an error of Gemini's", "gemini", sse(['data: {"error":{"code":503,"message":"stillborn","status":"UNAVAILABLE"}}\r\n\r\n']), 503],
  ["a start of Cohere's, then the end", "cohere", sse(framesIn("cohere", { id: "stillborn", text: WHOLE }).slice(0, 1)), 502],
  ["a 429", "openai-chat", { ...json({ error: { message: "stillborn", type: "rate_limit_error" } }), status: 429 }, 429],
  ["a 500", "anthropic-messages", { ...json({ type: "error", error: { type: "api_error", message: "stillborn" } }), status: 500 }, 502],
];

describe("B10: an answer that fails before its first content", () => {
  const cases = CLIENTS.flatMap((client) =>
    STILLBORN.map(([what, dialect, script, status]) => ({ client, what, dialect, script, status })),
  );

  it.each(cases)("$client: after $what another target answers, and nothing of the first shows", async ({ client, dialect, script }) => {
    await start({ plugins: [failover()], models: { pair: [`${dialect}/m`, "anthropic-messages/m"] } });
    rig.upstream.next(script, answerIn("anthropic-messages", { text: TEXT }));
    const seen = await askAndSee(rig.url, client, { model: "pair" });
    expect(seen).toMatchObject({ status: 200, text: WHOLE, ended: true, errors: [], last: "end" });
    expect(seen.raw).not.toContain("stillborn");
    expect(seen.headers).toMatchObject({ "x-headgate-attempts": "2", "x-headgate-provider": "anthropic-messages" });
    expect(await rig.outcome(0)).toMatchObject({
      kind: "complete",
      estimated: false,
      usage: { inputTokens: 10, outputTokens: TEXT.length },
    });
  });

  it.each(cases)("$client: after $what everywhere the client gets a status, not a stream", async ({ client, dialect, script, status }) => {
    await start({ plugins: [failover()], models: { pair: [`${dialect}/m`, `${dialect}/m`] } });
    rig.upstream.always(script);
    const seen = await askAndSee(rig.url, client, { model: "pair" });
    expect(seen.status).toBe(status);
    expect(seen.headers["content-type"]).toBe("application/json");
    expect(seen.errors).toHaveLength(1);
    expect(rig.upstream.calls).toHaveLength(2);
    expect(await rig.outcome(0)).toMatchObject({ kind: "failed", status, usage: null });
  });
});

describe("B12: an answer that ends without its terminator", () => {
  const ENDINGS: [how: string, of: (frames: string[]) => Script][] = [
    ["a proper end of the body", (frames) => sse(frames)],
    ["a FIN in the middle of a chunked body", (frames) => ({ ...sse(frames), end: "fin" })],
    ["the end of a close-delimited body", (frames) => ({ ...sse(frames), framing: "close" })],
    [
      "less than its content-length",
      (frames) => ({
        ...sse([]),
        ...cut(
          { headers: sse([]).headers ?? {}, body: `${frames.join("")}${" ".repeat(99)}` },
          { bytes: Buffer.byteLength(frames.join("")) },
        ),
      }),
    ],
  ];

  it.each(MATRIX.flatMap((pair) => ENDINGS.map(([how, of]) => ({ ...pair, how, of }))))(
    "$client from $upstream: $how is told as an error",
    async ({ client, upstream, of }) => {
      await start();
      rig.upstream.next(of(framesIn(upstream, { text: TEXT }).slice(0, 8)));
      const seen = await askAndSee(rig.url, client, { model: `${upstream}/m` });
      expect(seen).toMatchObject({ status: 200, ended: false });
      expect(seen.text).not.toBe("");
      expectNoSilentTruncation(seen, WHOLE);
      expect(await rig.outcome(0)).toMatchObject({ kind: "cut", estimated: true, error: { code: "upstream_cut" } });
    },
  );

  it.each(MATRIX)("$client from $upstream: a reset is told as an error", async ({ client, upstream }) => {
    await start();
    const shown = gate();
    rig.upstream.next({ ...sse([...framesIn(upstream, { text: TEXT }).slice(0, 8), shown]), end: "reset" });
    const response = await ask(rig.url, client, { model: `${upstream}/m` });
    const seen = await see(client, response, () => shown.open());
    expectNoSilentTruncation(seen, WHOLE);
    expect(seen.ended).toBe(false);
    expect(await rig.outcome(0)).toMatchObject({ kind: "cut", error: { code: "upstream_cut" } });
  });

  it.each(MATRIX.flatMap((pair) => (["fin", "reset"] as const).map((end) => ({ ...pair, end }))))(
    "$client from $upstream: a whole answer that comes up short ($end) is a 502",
    async ({ client, upstream, end }) => {
      await start();
      rig.upstream.next((call) => cut(answerIn(upstream, { text: TEXT })(call) as Script, { bytes: 40 }, end));
      const seen = await askAndSee(rig.url, client, { model: `${upstream}/m`, stream: false });
      expect(seen).toMatchObject({ status: 502, errors: [expect.anything()] });
      expect(await rig.outcome(0)).toMatchObject({ kind: "failed", usage: null, error: { code: "upstream_cut" } });
    },
  );
});

describe("B13: a provider that falls silent", () => {
  const SILENCES: [how: string, stream: boolean, script: Script][] = [
    ["accepts and says nothing", true, silence()],
    ["accepts and says nothing", false, silence()],
    ["sends a head and nothing more", true, silenceAfterHead()],
    ["sends a head and nothing more", false, { ...silenceAfterHead(), headers: { "content-type": "application/json" } }],
  ];

  it.each(CLIENTS.flatMap((client) => SILENCES.map(([how, stream, script]) => ({ client, how, stream, script }))))(
    "$client (stream: $stream): one that $how is left at the deadline, with a 504",
    async ({ client, stream, script }) => {
      await start({ upstream: { firstContentMs: 5_000 } });
      rig.upstream.next(script);
      const seeing = askAndSee(rig.url, client, { model: "openai-chat/m", stream });
      const call = await rig.upstream.call(0);
      await rig.clock.advance(4_999);
      expect(call.outcome).toBe("open");
      await rig.clock.advance(1);
      expect(await seeing).toMatchObject({ status: 504, errors: [expect.objectContaining({ message: expect.stringMatching(/in time/) })] });
      expect(await call.closed).toBe("gone");
      expect(await rig.outcome(0)).toMatchObject({ kind: "failed", status: 504, error: { code: "upstream_timeout" } });
    },
  );

  it("one at a byte a second is left when its first content is due", async () => {
    await start({ upstream: { firstContentMs: 5_000 } });
    rig.upstream.next(sse(trickle()));
    const seeing = askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" });
    const call = await rig.upstream.call(0);
    for (let second = 0; second < 5; second++) await rig.clock.advance(1_000);
    expect(await seeing).toMatchObject({ status: 504 });
    expect(await call.closed).toBe("gone");
  });

  it.each(MATRIX)("$client from $upstream: silence after content ends in an error event", async ({ client, upstream }) => {
    await start({ upstream: { idleMs: 5_000 } });
    const never = gate();
    rig.upstream.next(sse([...framesIn(upstream, { text: TEXT }).slice(0, 8), never]));
    const response = await ask(rig.url, client, { model: `${upstream}/m` });
    const reading = see(client, response);
    await rig.clock.advance(5_000);
    const seen = await reading;
    expectNoSilentTruncation(seen, WHOLE);
    expect(await (await rig.upstream.call(0)).closed).toBe("gone");
    expect(await rig.outcome(0)).toMatchObject({ kind: "cut", estimated: true, error: { code: "upstream_timeout" } });
  });

  it("a byte a second after content is silence too: the deadline is for the next event, not the next byte", async () => {
    await start({ upstream: { idleMs: 5_000 } });
    rig.upstream.next(
      sse(
        (async function* () {
          yield* framesIn("openai-chat", { text: TEXT }).slice(0, 4);
          yield* trickle();
        })(),
      ),
    );
    const response = await ask(rig.url, "openai-chat", { model: "openai-chat/m" });
    const reading = see("openai-chat", response);
    for (let second = 0; second < 7; second++) await rig.clock.advance(1_000);
    expectNoSilentTruncation(await reading, WHOLE);
    expect(await rig.outcome(0)).toMatchObject({ kind: "cut", error: { code: "upstream_timeout" } });
  });

  it("silence before the first content counts against the deadline for that, however short the one between events", async () => {
    await start({ upstream: { firstContentMs: 60_000, idleMs: 1_000 } });
    const thought = gate();
    rig.upstream.next(sse([": thinking\n\n", thought, ...framesIn("openai-chat", { text: TEXT })]));
    const seeing = askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" });
    await rig.upstream.call(0);
    await rig.clock.advance(59_000);
    thought.open();
    expect(await seeing).toMatchObject({ status: 200, ended: true, text: WHOLE });
  });

  it("another target answers in its stead, unseen", async () => {
    await start({ plugins: [failover()], models: { pair: ["openai-chat/m", "cohere/m"] }, upstream: { firstContentMs: 5_000 } });
    rig.upstream.next(silenceAfterHead(), answerIn("cohere", { text: TEXT }));
    const seeing = askAndSee(rig.url, "anthropic-messages", { model: "pair" });
    const call = await rig.upstream.call(0);
    await rig.clock.advance(5_000);
    expect(await seeing).toMatchObject({ status: 200, text: WHOLE, ended: true, errors: [] });
    expect(await call.closed).toBe("gone");
  });

  it("one that says its end but keeps the connection open does not keep it for ever", async () => {
    await start();
    rig.upstream.next(sse([...framesIn("openai-chat", { text: TEXT }), gate()]));
    expect(await askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" })).toMatchObject({ ended: true, text: WHOLE });
    const call = await rig.upstream.call(0);
    await rig.clock.advance(1_000);
    expect(await call.closed).toBe("gone");
  });

  it.skipIf(!countsConnections)("one that takes no connection is left at that deadline, and no connection is left trying", async () => {
    const hole = await blackHole();
    const before = connectionsTo(hole.port, "connecting");
    try {
      await start({ upstream: { connectMs: 250 }, providers: [provider("openai-chat", `http://127.0.0.1:${hole.port}`)] });
      const begun = performance.now();
      const seen = await askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" });
      expect(seen).toMatchObject({ status: 504, errors: [expect.objectContaining({ code: "upstream_timeout" })] });
      expect(performance.now() - begun).toBeLessThan(3_000);
      await vi.waitFor(() => expect(connectionsTo(hole.port, "connecting")).toBe(before), { timeout: 2_000, interval: 5 });
    } finally {
      hole.close();
    }
  });

  it.skipIf(!countsConnections)("one that is frozen is left at the deadline: its kernel takes the request, nobody reads it", async () => {
    const hole = await blackHole(0);
    try {
      await start({ upstream: { firstContentMs: 5_000 }, providers: [provider("openai-chat", `http://127.0.0.1:${hole.port}`)] });
      const seeing = askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" });
      await vi.waitFor(() => expect(connectionsTo(hole.port, "established")).toBe(1), { timeout: 2_000, interval: 2 });
      await rig.clock.advance(5_000);
      expect(await seeing).toMatchObject({ status: 504, errors: [expect.objectContaining({ code: "upstream_timeout" })] });
      await vi.waitFor(() => expect(connectionsTo(hole.port, "established")).toBe(0), { timeout: 2_000, interval: 2 });
    } finally {
      hole.close();
    }
  });

  /** One event, a byte a second. */
  async function* trickle() {
    for (const byte of Buffer.from(`data: {"choices":[{"index":0,"delta":{"content":"${"x".repeat(99)}`)) {
      yield Buffer.of(byte);
      yield { until: rig.clock.sleep(1_000) };
    }
  }
});

describe("B17: a hostile provider", () => {
  const STATUSES = [301, 302, 303, 307, 308];

  it.each(STATUSES.flatMap((status) => [true, false].map((stream) => ({ status, stream }))))(
    "a $status elsewhere (stream: $stream) is a 502, and nothing is sent there",
    async ({ status, stream }) => {
      const canary = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
      await once(canary, "listening");
      let visits = 0;
      canary.on("connection", () => {
        visits += 1;
      });
      const { port } = canary.address() as { port: number };
      await start();
      rig.upstream.next(redirect(`http://127.0.0.1:${port}/v1/chat/completions`, status));
      const seen = await askAndSee(rig.url, "openai-chat", { model: "openai-chat/m", stream });
      expect(seen).toMatchObject({ status: 502, errors: [expect.objectContaining({ code: "upstream_invalid" })] });
      expect(seen.raw).not.toContain(String(port));
      expect(visits).toBe(0);
      canary.close();
    },
  );

  const endless = (piece: string, head = "") =>
    (function* () {
      yield head;
      for (;;) yield piece;
    })();
  const [role, first] = framesIn("openai-chat", { text: TEXT }) as [string, string];

  it.each<[what: string, stream: boolean, script: Script]>([
    ["HTML with status 200", false, { headers: { "content-type": "text/html" }, body: "<html>Sorry</html>" }],
    ["HTML with status 200", true, { headers: { "content-type": "text/html" }, body: "<html>Sorry</html>" }],
    ["HTML that says it is an event stream", true, sse(["<html>Sorry</html>"])],
    ["broken JSON", false, { headers: { "content-type": "application/json" }, body: '{"choices":[' }],
    ["JSON that is no answer", false, json([1, 2, 3])],
    ["JSON where a stream was asked for", true, json({ choices: [] })],
    ["an event that is not JSON", true, sse(["data: {oops\n\n"])],
    ["64 KB of headers", false, { headers: { "x-big": "x".repeat(64 * 1024) }, body: "{}" }],
    ["64 KB of headers", true, { ...sse([]), headers: { "x-big": "x".repeat(64 * 1024) } }],
    ["bytes that are not HTTP", false, { framing: "raw", body: "SSH-2.0-OpenSSH_9.2\r\n\r\n" }],
    ["no bytes at all", false, { framing: "raw", body: "", end: "fin" }],
    ["comments without end before its content", true, sse(endless(": wait\n\n".repeat(100)))],
    ["empty lines without end", true, sse(endless("\n".repeat(1000)))],
    ["roles without end", true, sse(endless(role))],
    ["one line without end", true, sse(endless("x".repeat(64 * 1024), "data: "))],
  ])("%s (stream: %s) is a 502, and the connection is given up or done with", async (_, stream, script) => {
    await start();
    rig.upstream.next(script);
    const seen = await askAndSee(rig.url, "openai-chat", { model: "openai-chat/m", stream });
    expect(seen).toMatchObject({ status: 502, errors: [expect.anything()] });
    const call = await rig.upstream.call(0);
    expect(await call.closed).not.toBe("open");
    expect(seen.raw).not.toMatch(/Sorry|oops|127\.0\.0\.1|SSH/);
  });

  it.each(MATRIX)("$client from $upstream: a line without end after content is cut off", async ({ client, upstream }) => {
    await start();
    const frames = framesIn(upstream, { text: TEXT }).slice(0, 8);
    rig.upstream.next(sse([...frames, "data: ", ...Array.from({ length: 800 }, () => "x".repeat(64 * 1024))]));
    const seen = await askAndSee(rig.url, client, { model: `${upstream}/m` });
    expectNoSilentTruncation(seen, WHOLE);
    const call = await rig.upstream.call(0);
    expect(await call.closed).toBe("gone");
    expect(call.sentBytes).toBeLessThan(16 * 1024 * 1024);
  });

  it("an end that goes on is an end", async () => {
    await start();
    rig.upstream.next(
      sse(
        (function* () {
          yield* framesIn("openai-chat", { text: TEXT });
          yield* endless(first);
        })(),
      ),
    );
    expect(await askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" })).toMatchObject({ ended: true, text: WHOLE, errors: [] });
    expect(await (await rig.upstream.call(0)).closed).toBe("gone");
  });
});

describe("B17: a hostile provider and the memory of the gateway", () => {
  const GB = 1024 * MB;
  const block = Buffer.alloc(64 * 1024, "x");
  const blocks = function* (bytes: number) {
    for (let sent = 0; sent < bytes; sent += block.length) yield block;
  };
  const [, content] = framesIn("openai-chat", { text: TEXT }) as [string, string];
  const bomb = gzipBomb(256 * MB);
  const asJson = { "content-type": "application/json" };

  it.each<[what: string, stream: boolean, responder: () => Script | Promise<Script>]>([
    ["a line of 50 MB", true, () => hugeLine(50 * MB)],
    [
      "a line of 50 MB after content",
      true,
      () =>
        sse(
          (function* () {
            yield content;
            yield* blocks(50 * MB);
          })(),
        ),
    ],
    ["a body of 1 GB", false, () => ({ headers: asJson, body: blocks(GB) })],
    ["a body of 1 GB by its content-length", false, () => ({ headers: { ...asJson, "content-length": String(GB) }, body: blocks(GB) })],
    ["an error of 1 GB", false, () => ({ status: 500, headers: asJson, body: blocks(GB) })],
    ["an error of 1 GB", true, () => ({ status: 400, headers: asJson, body: blocks(GB) })],
    ["a gzip bomb", false, () => bomb],
    ["a gzip bomb", true, async () => ({ ...(await bomb), headers: { ...sse([]).headers, "content-encoding": "gzip" } })],
    [
      "a thousand content-encodings",
      false,
      async () => ({
        ...(await bomb),
        headers: { ...asJson, "content-encoding": Array.from({ length: 1_000 }, () => "gzip").join(", ") },
      }),
    ],
    ["comments without end", true, () => sse(blocksOf(": wait\n\n"))],
    ["events without data, without end", true, () => sse(blocksOf("data:\n\n"))],
    ["64 KB of headers", false, () => ({ headers: { "x-big": "x".repeat(64 * 1024) }, body: "{}" })],
  ])("%s (stream: %s): 32 MB at most, and the connection is given up", async (_, stream, responder) => {
    const upstream = await ScriptedUpstream.start();
    onTestFinished(() => upstream.close());
    upstream.always(answerIn("openai-chat", { text: TEXT }));
    const gateway = await startGatewayProcess({ UPSTREAM_URL: upstream.url, BODY_BYTES: 8 * MB });
    const call = () => askAndSee(gateway.url, "openai-chat", { model: "openai-chat/m", stream });
    for (let round = 0; round < 20; round++) expect(await call()).toMatchObject({ status: 200, text: WHOLE });
    gateway.peak();
    const before = gateway.resident();
    upstream.always(responder);
    for (let round = 0; round < 10; round++) {
      const seen = await call();
      // Memory outside the heap is collected from 64 MB on; from then on it may not grow.
      expect(gateway.peak() - before).toBeLessThan((round === 0 ? 32 : 64 + 32) * MB);
      if (seen.status === 200) expectNoSilentTruncation(seen, WHOLE);
      else expect(seen).toMatchObject({ status: expect.toSatisfy((status) => [400, 502].includes(status)), errors: [expect.anything()] });
      expect(await upstream.calls.at(-1)?.closed).not.toBe("open");
    }
    await gateway.expectAlive();
    upstream.always(answerIn("openai-chat", { text: TEXT }));
    expect(await call()).toMatchObject({ status: 200, text: WHOLE });
  });

  function* blocksOf(event: string) {
    const piece = event.repeat(Math.ceil((64 * 1024) / event.length));
    for (;;) yield piece;
  }
});

/** A listener that accepts nothing: its process is stopped, and `room` more connections than its queue takes are made. */
async function blackHole(room = 8): Promise<{ readonly port: number; close(): void }> {
  const listen =
    "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";
  const child = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  child.kill("SIGSTOP");
  const port = Number(line.toString());
  const fillers = Array.from({ length: room }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  if (room > 0) await once(fillers[0] as (typeof fillers)[0], "connect");
  const close = () => {
    for (const filler of fillers) filler.destroy();
    child.kill("SIGKILL");
  };
  return { port, close };
}
