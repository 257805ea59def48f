import { once } from "node:events";
import { createServer } from "node:net";
import { answerIn, framesIn, gzipBomb, hugeLine, json, redirect, type Script, ScriptedUpstream, sse } from "headgate/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { startGatewayProcess } from "../support/gateway-process.ts";
import { expectNoSilentTruncation, type Rig, type RigOptions, startRig } from "../support/rig.ts";
import { UPSTREAMS } from "../support/scripted-provider.ts";
import { askAndSee, CLIENTS } from "../support/sse-client.ts";

const TEXT = Array.from({ length: 25 }, (_, index) => ` word${index}`);
const WHOLE = TEXT.join("");
const MB = 1024 * 1024;
const MATRIX = CLIENTS.flatMap((client) => UPSTREAMS.map((upstream) => ({ client, upstream })));

let rig: Rig;
const start = async (options: RigOptions = {}) => {
  rig = await startRig(options);
  onTestFinished(rig.stop);
};

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
