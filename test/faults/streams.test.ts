import { type AnswerDialect, answerIn, cut, FakeClock, FaultProxy, framesIn, sse } from "headgate/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { DIALECTS } from "../../core/dialects/index.ts";
import { GatewayError } from "../../core/errors.ts";
import type { UpstreamBody } from "../../core/upstream/client.ts";
import { UpstreamStream } from "../../core/upstream/stream.ts";
import { allRecordings, hasRecordings, type Recording } from "../support/recordings.ts";
import { type Rig, type RigOptions, startRig } from "../support/rig.ts";
import { failover, provider, UPSTREAMS } from "../support/scripted-provider.ts";
import { askAndSee, CLIENTS } from "../support/sse-client.ts";

/** With characters of two, three and four bytes. */
const TEXT = Array.from({ length: 25 }, (_, index) => ` w${index}${["é", "語", "🦔", ""][index % 4]}`);
const WHOLE = TEXT.join("");
const MATRIX = CLIENTS.flatMap((client) => UPSTREAMS.map((upstream) => ({ client, upstream })));

let rig: Rig;
const start = async (options: RigOptions = {}) => {
  rig = await startRig(options);
  onTestFinished(rig.stop);
};

describe("B11: an answer that breaks off after its content has begun", () => {
  it.each(MATRIX)(
    "$client from $upstream: cut after each of the first 20 chunks, it is told once, as an error",
    async ({ client, upstream }) => {
      await start({ plugins: [failover()], models: { pair: [`${upstream}/m`, "openai-chat/m"] } });
      const frames = framesIn(upstream, { text: TEXT });
      const another = answerIn("openai-chat", { text: ["another", " answer"] });
      for (let chunks = 0; chunks <= 20; chunks++) {
        const before = rig.upstream.calls.length;
        const first = cut(sse(frames), { steps: chunks });
        rig.upstream.always((call) => (rig.upstream.calls.length === before + 1 ? first : another(call)));
        const seen = await askAndSee(rig.url, client, { model: "pair" });
        const given = TEXT.slice(0, frames.slice(0, chunks).filter((frame) => frame.includes('" w')).length).join("");
        const attempts = rig.upstream.calls.length - before;
        const outcome = await rig.outcome(chunks);
        if (given === "") {
          expect(seen).toMatchObject({ status: 200, text: "another answer", ended: true, errors: [] });
          expect([attempts, outcome.kind]).toEqual([2, "complete"]);
          continue;
        }
        // Neither replayed nor repeated, no terminator, no made-up reason; the error comes last.
        expect(seen).toMatchObject({ status: 200, text: given, ended: false, finish: null, last: "error", broken: false });
        expect(seen.errors).toEqual([
          expect.objectContaining({ type: "api_error", message: expect.stringMatching(/before it was complete/) }),
        ]);
        expect(seen.raw).not.toMatch(/\[DONE\]|message_stop|message_delta|finish_reason":"/);
        expect(attempts).toBe(1);
        // Billed for what was given, at four bytes a token; counted as a failure of the provider's.
        const outputTokens = Math.ceil(Buffer.byteLength(given) / 4);
        expect(outcome).toMatchObject({
          kind: "cut",
          status: 200,
          estimated: true,
          usage: { outputTokens },
          error: { code: "upstream_cut" },
        });
        expect(outcome.usage?.inputTokens).toBeGreaterThan(0);
        expect(rig.settled[chunks]?.exchange.attempts.map(({ error }) => error?.code)).toEqual(["upstream_cut"]);
      }
    },
  );
});

/** The ways in which event streams differ while meaning the same. */
const STYLES: [style: string, restyle: (frames: string[]) => string][] = [
  ["comments and pings", (frames) => `: hello\n\n${frames.map((frame) => `: ping\n${frame}: ping\n\n`).join("")}`],
  ["CRLF", (frames) => frames.join("").replaceAll(/\r?\n/g, "\r\n")],
  ["CR alone", (frames) => frames.join("").replaceAll(/\r?\n/g, "\r")],
  [
    "all line ends in turn",
    (frames) => frames.map((frame, index) => frame.replaceAll(/\r?\n/g, ["\n", "\r\n", "\r"][index % 3] as string)).join(""),
  ],
  ["a byte order mark", (frames) => `\ufeff${frames.join("")}`],
  ["no space after the colon", (frames) => frames.join("").replaceAll(/^(data|event): /gm, "$1:")],
  ["data over several lines", (frames) => frames.map(overLines).join("")],
  ["id and retry fields", (frames) => frames.map((frame, index) => `id: ${index}\nretry: 10\nunknown: x\n${frame}`).join("")],
  ["frames without data", (frames) => frames.map((frame) => `retry: 10\n\nid\n\ndata:\n\ndata\n\n${frame}`).join("")],
  ["text after the end", (frames) => `${frames.join("")}data: {"choices":[{"index":0,"delta":{"content":"never"}}]}\n\nnonsense`],
  ["more blank lines than one", (frames) => frames.map((frame) => `\n\n${frame}\n\n\n`).join("")],
];

function overLines(frame: string): string {
  return frame.replace(/^data: (\{.*\})\r?$/m, (_, json: string) =>
    JSON.stringify(JSON.parse(json), null, 1)
      .split("\n")
      .map((line) => `data: ${line}`)
      .join("\n"),
  );
}

describe("B15: an event stream in any style", () => {
  // Gemini's end and Cohere's are no terminators, so that what follows them is read.
  const cases = MATRIX.flatMap((pair) =>
    STYLES.filter(([style]) => style !== "text after the end" || /openai|anthropic/.test(pair.upstream)).map(([style, restyle]) => ({
      ...pair,
      style,
      restyle,
    })),
  );

  it.each(cases)("$client from $upstream: $style", async ({ client, upstream, restyle }) => {
    await start();
    const bytes = Buffer.from(restyle(framesIn(upstream, { text: TEXT })));
    rig.upstream.next(sse([bytes]), sse(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))));
    for (const slicing of ["whole", "in single bytes"]) {
      const seen = await askAndSee(rig.url, client, { model: `${upstream}/m` });
      expect(seen, slicing).toMatchObject({ status: 200, text: WHOLE, ended: true, errors: [] });
      expect(seen.raw).not.toContain("never");
    }
  });

  it.each(CLIENTS)("%s: without [DONE] a stream is not whole, whatever it said", async (client) => {
    await start();
    rig.upstream.next(sse(framesIn("openai-chat", { text: TEXT }).slice(0, -1)));
    const seen = await askAndSee(rig.url, client, { model: "openai-chat/m" });
    expect(seen).toMatchObject({ status: 200, text: WHOLE, ended: false, errors: [expect.anything()], last: "error" });
  });
});

describe("B16: bytes split anywhere", () => {
  it.each(MATRIX)("$client from $upstream: slices of one to seven bytes over the network change nothing", async ({ client, upstream }) => {
    await start();
    const proxy = await FaultProxy.start({ port: rig.upstream.port });
    const sliced = await startRig({ providers: [provider(upstream, proxy.url)] });
    onTestFinished(() => proxy.close());
    onTestFinished(sliced.stop);
    const answer = answerIn(upstream, { text: TEXT });
    rig.upstream.always(answer);
    const whole = await askAndSee(rig.url, client, { model: `${upstream}/m` });
    for (const slice of [1, 2, 3, 7]) {
      proxy.set({ slice });
      const seen = await askAndSee(sliced.url, client, { model: `${upstream}/m` });
      expect(seen).toMatchObject({ text: WHOLE, ended: true, errors: [] });
      if (client === upstream) expect(seen.raw).toBe(whole.raw);
    }
  });

  const streams = allRecordings()
    .replayed.filter(({ streamed, name }) => streamed && !name.includes("spliced"))
    .map((recording) => ({ ...recording, bytes: Buffer.concat(recording.wire) }))
    .toSorted((one, other) => one.bytes.length - other.bytes.length)
    .slice(0, 30);

  describe.skipIf(!hasRecordings)("30 recorded streams (skipped where ../shared/fixtures is absent)", () => {
    it("are there", () => {
      expect(streams).toHaveLength(30);
      expect(new Set(streams.map(({ dialect }) => dialect)).size).toBe(UPSTREAMS.length);
    });

    it.each(streams)("$name, split at every byte, comes out the same", async ({ dialect, bytes, wire }) => {
      const at = (place: number) => [bytes.subarray(0, place), bytes.subarray(place)];
      const singles = Array.from(bytes, (_, place) => bytes.subarray(place, place + 1));
      const passed = await passedOn(dialect, [bytes]);
      for (let place = 1; place < bytes.length; place++) {
        if (!passed.equals(await passedOn(dialect, at(place)))) expect.fail(`passed on differently, split at ${place}`);
      }
      expect(passed.equals(await passedOn(dialect, singles))).toBe(true);
      // What is written anew is made of whole events, so that only the places between them matter.
      const written = await writtenAnew(dialect, [bytes]);
      let place = 0;
      for (const event of wire) {
        place += event.length;
        expect(await writtenAnew(dialect, at(place))).toBe(written);
      }
      expect(await writtenAnew(dialect, singles)).toBe(written);
    });
  });

  const clock = new FakeClock();
  const context = { model: "m", request: { model: "m", messages: [], stream: true as const } };

  function streamOf(dialect: Recording["dialect"], pieces: readonly Buffer[]): UpstreamStream {
    const reader = DIALECTS.get(dialect)?.upstream?.streamReader(context);
    if (!reader) throw new Error(`${dialect} has no upstream half`);
    let next = 0;
    const body: UpstreamBody = { read: async () => pieces[next++] ?? null, destroy: () => undefined };
    const toError = () => new GatewayError("upstream_failed");
    return new UpstreamStream({ dialect, body, reader, toError, clock, idleMs: 60_000, onEnd: () => undefined });
  }

  /** As a client of the same dialect gets it. */
  async function passedOn(dialect: AnswerDialect, pieces: readonly Buffer[]): Promise<Buffer> {
    const stream = streamOf(dialect, pieces);
    await stream.commit();
    const out: Buffer[] = [];
    for (let piece = await stream.bytes(true); piece; piece = await stream.bytes(true)) out.push(piece);
    return Buffer.concat(out);
  }

  /** As a client of the other dialect gets it, without what differs from run to run: made-up ids and the time. */
  async function writtenAnew(dialect: AnswerDialect, pieces: readonly Buffer[]): Promise<string> {
    const client = DIALECTS.get(dialect === "openai-chat" ? "anthropic-messages" : "openai-chat")?.client;
    const writer = client?.streamWriter({ requestId: "req", request: context.request });
    const stream = streamOf(dialect, pieces);
    await stream.commit();
    let text = "";
    for await (const chunk of stream) text += writer?.write(chunk);
    return (text + writer?.end()).replaceAll(/(call|chatcmpl|msg|toolu)_[0-9a-f]{16,}/g, "$1").replaceAll(/"created":\d+/g, "");
  }
});
