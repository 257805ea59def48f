import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { request } from "undici";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answerIn } from "./answers.ts";
import { ScriptedUpstream } from "./scripted-upstream.ts";
import { cut, forever, gate, gzipBomb, hugeLine, json, redirect, silence, silenceAfterHead, sse } from "./scripts.ts";

describe("ScriptedUpstream", () => {
  let upstream: ScriptedUpstream;
  beforeEach(async () => {
    upstream = await ScriptedUpstream.start();
  });
  afterEach(() => upstream.close());

  const post = (body: unknown = { model: "m" }, path = "/v1/chat/completions") =>
    fetch(upstream.url + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

  it("answers in the order of its scripts and keeps a ledger of what came and what it sent", async () => {
    const usage = { inputTokens: 1, outputTokens: 2, cachedTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
    upstream.next(json({ hello: 1 }, { usage })).always(json({ error: {} }, { status: 429, headers: { "retry-after": "2" } }));
    const first = await post({ model: "m", n: 1 });
    expect(await first.json()).toEqual({ hello: 1 });
    const second = await post();
    expect([second.status, second.headers.get("retry-after")]).toEqual([429, "2"]);
    await second.text();

    const [call, other] = upstream.calls;
    expect(call).toMatchObject({ method: "POST", path: "/v1/chat/completions", json: { model: "m", n: 1 }, usage });
    expect(call?.headers["content-type"]).toBe("application/json");
    expect(Buffer.concat(call?.sent ?? []).toString()).toBe('{"hello":1}');
    expect(await call?.closed).toBe("whole");
    expect(other?.usage).toBeNull();
  });

  it("streams at the test's own pace", async () => {
    const hold = gate();
    upstream.next(sse(["data: 1\n\n", hold, "data: 2\n\n"]));
    const { body } = await request(upstream.url);
    const pieces = body[Symbol.asyncIterator]();
    expect(String((await pieces.next()).value)).toBe("data: 1\n\n");
    expect(upstream.calls[0]?.sent).toHaveLength(1);
    hold.open();
    expect(String((await pieces.next()).value)).toBe("data: 2\n\n");
    expect((await pieces.next()).done).toBe(true);
  });

  it.each([
    ["a chunked stream closed without its end", cut(sse(["data: 1\n\n", "data: 2\n\n"]), { steps: 1 }, "fin")],
    ["a chunked stream reset", cut(sse(["data: 1\n\n", "data: 2\n\n"]), { bytes: 4 }, "reset")],
    ["a body shorter than its length", cut(json({ hello: "there" }), { bytes: 5 })],
  ])("breaks off %s", async (_name, script) => {
    upstream.next(script);
    await expect(post().then((response) => response.text())).rejects.toThrow();
    expect(await upstream.calls[0]?.closed).toBe("cut");
  });

  it("sends a body that only the closing of the connection ends", async () => {
    upstream.next({ ...sse(["data: 1\n\n"]), framing: "close" });
    const response = await post();
    expect(response.headers.get("transfer-encoding")).toBeNull();
    expect(response.headers.get("content-length")).toBeNull();
    expect(await response.text()).toBe("data: 1\n\n");
  });

  it("sends raw bytes as they are", async () => {
    upstream.next({ framing: "raw", body: ["HTTP/1.1 200 OK\r\n", "X-Odd:\tyes\r\ncontent-length: 2\r\n\r\nok"] });
    const socket = connect(upstream.port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    expect(await text(socket)).toBe("HTTP/1.1 200 OK\r\nX-Odd:\tyes\r\ncontent-length: 2\r\n\r\nok");
  });

  it.each([
    ["before the head", silence()],
    ["after the head", silenceAfterHead()],
    ["in mid-stream", sse(["data: 1\n\n", forever()])],
  ])("notes that the client left while it was silent %s", async (_name, script) => {
    upstream.next(script);
    const controller = new AbortController();
    const response = fetch(upstream.url, { signal: controller.signal });
    response.catch(() => undefined);
    const call = await upstream.call(0);
    controller.abort();
    expect(await call.closed).toBe("gone");
  });

  it("is held back by a client that does not read", async () => {
    const piece = Buffer.alloc(64 * 1024);
    upstream.next(sse(Array.from({ length: 4096 }, () => piece)));
    const { body } = await request(upstream.url);
    const call = await upstream.call(0);
    let before = -1;
    while (call.sent.length !== before) {
      before = call.sent.length;
      for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    }
    expect(call.sent.length).toBeLessThan(1024);
    body.destroy();
    expect(await call.closed).toBe("gone");
  });

  it("redirects, unfolds bombs and sends lines without end", async () => {
    upstream.next(redirect("http://127.0.0.1:1/"), await gzipBomb(3_000_000), hugeLine(1_000_000));
    const moved = await request(upstream.url);
    expect([moved.statusCode, moved.headers.location]).toEqual([307, "http://127.0.0.1:1/"]);
    await moved.body.dump();
    expect((await (await post()).text()).length).toBe(3_000_000);
    expect((await (await post()).text()).length).toBe(1_000_006);
    expect(upstream.calls[1]?.sentBytes).toBeLessThan(10_000);
  });

  it("speaks each provider's format, streamed when asked", async () => {
    for (const dialect of ["openai-chat", "anthropic-messages", "cohere"] as const) {
      upstream.always(answerIn(dialect, { text: "Hi there", toolCalls: [{ name: "look", arguments: { at: "it" } }] }));
      expect(JSON.stringify(await (await post()).json())).toContain("Hi there");
      const stream = await (await post({ stream: true })).text();
      expect(stream).toContain("Hi");
      expect(stream).toContain(" there");
    }
    upstream.always(answerIn("gemini", { text: "Hi there" }));
    expect(await (await post({}, "/v1beta/models/m:streamGenerateContent?alt=sse")).text()).toMatch(/" there".*\r\n\r\n$/);
    expect(upstream.calls.at(-1)?.usage).toMatchObject({ inputTokens: 10, outputTokens: 2 });
  });

  it("leaves no connection behind", async () => {
    upstream.always(silence());
    const left = Promise.allSettled([post(), post()]);
    await upstream.call(1);
    expect(upstream.open).toBe(2);
    await upstream.close();
    expect((await left).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(upstream.open).toBe(0);
    upstream = await ScriptedUpstream.start();
  });
});
