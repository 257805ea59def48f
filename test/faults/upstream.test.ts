import { type AnswerDialect, answerIn, cut, framesIn, gate, json, type Script, silence, silenceAfterHead, sse } from "headgate/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { blackHole } from "../support/black-hole.ts";
import { connectionsTo, countsConnections } from "../support/connections.ts";
import { expectNoSilentTruncation, type Rig, type RigOptions, startRig } from "../support/rig.ts";
import { failover, provider, UPSTREAMS } from "../support/scripted-provider.ts";
import { ask, askAndSee, CLIENTS, see } from "../support/sse-client.ts";

const TEXT = Array.from({ length: 25 }, (_, index) => ` word${index}`);
const WHOLE = TEXT.join("");
const _MB = 1024 * 1024;
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
