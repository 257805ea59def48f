import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CHAT, type Edge, MESSAGES, MODEL, rawPost, startEdge } from "../support/edge.ts";
import { expectError, shapeOf } from "../support/error-body.ts";
import { open, readRaw, sendRaw } from "../support/raw-http.ts";

const LIMIT = 4 * 1024 * 1024;

let edge: Edge;
let before: number;

beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.stop());
beforeEach(() => {
  before = edge.upstream.calls.length;
});
const executed = () => edge.upstream.calls.slice(before);

/** A good request of exactly so many bytes. */
function sized(bytes: number): string {
  const body = (content: string) => `{"model":"${MODEL}","max_tokens":9,"messages":[{"role":"user","content":"${content}"}]}`;
  return body("x".repeat(bytes - body("").length));
}

describe("F11: a body at the limit", () => {
  it("is read to the last byte, and refused one byte later", async () => {
    expect((await edge.post(CHAT, sized(LIMIT))).status).toBe(200);
    expect(executed()[0]?.body.length).toBeGreaterThan(LIMIT - 100);
    for (const path of [CHAT, MESSAGES]) {
      const answer = await edge.post(path, sized(LIMIT + 1));
      expect(answer.status).toBe(413);
      expectError(answer, shapeOf(path));
    }
    expect(executed()).toHaveLength(1);
  });

  it("is refused by its length alone, before it has come", async () => {
    const head = rawPost("", CHAT).replace("content-length: 0", `content-length: ${LIMIT + 1}`);
    const { responses } = await sendRaw(edge.port, head, { responses: 1 });
    expect(responses[0]?.status).toBe(413);
    expect(responses[0]?.headers.connection).toBe("close");
  });

  it("may be longer than a megabyte, and come without a length", async () => {
    const socket = await open(edge.port);
    const answer = readRaw(socket, { responses: 1 });
    socket.write(`POST ${CHAT} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`);
    for (const piece of sized(1024 * 1024 + 1).match(/.{1,16000}/g) ?? []) socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    socket.write("0\r\n\r\n");
    expect((await answer).responses[0]?.status).toBe(200);
  });
});

describe("F11: Expect: 100-continue", () => {
  const asks = (...lines: string[]) => rawPost(undefined, CHAT, "expect: 100-continue", ...lines).split("\r\n\r\n");

  it("is told to go on when the body is wanted", async () => {
    const [head = "", body = ""] = asks();
    const socket = await open(edge.port);
    let seen = "";
    const answered = new Promise<void>((resolve) =>
      socket.on("data", (piece) => {
        seen += piece;
        if (seen.endsWith("100 Continue\r\n\r\n")) socket.write(body);
        if (seen.includes("Hello to you")) resolve();
      }),
    );
    socket.write(`${head}\r\n\r\n`);
    await answered;
    socket.destroy();
    expect(seen).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });

  it.concurrent.each([
    ["too long", 413, (head: string) => head.replace(/content-length: \d+/, `content-length: ${LIMIT + 1}`)],
    ["of another type", 415, (head: string) => head.replace("application/json", "text/plain")],
    ["in another coding", 415, (head: string) => `${head}\r\ncontent-encoding: zstd`],
    ["for another path", 404, (head: string) => head.replace(CHAT, "/nothing")],
    ["with two keys", 400, (head: string) => `${head}\r\nx-api-key: a\r\napi-key: b`],
  ])("is not asked for a body that is %s", async (_, status, change) => {
    const { responses, interim, closed } = await sendRaw(edge.port, `${change(asks()[0] ?? "")}\r\n\r\n`);
    expect(interim).toEqual([]);
    expect(responses.map((answer) => answer.status)).toEqual([status]);
    expectError(responses[0] as never, "openai");
    expect(closed).toBe(true);
  });

  it("any other expectation is not met, and not an error", async () => {
    const { responses, interim } = await sendRaw(edge.port, rawPost(undefined, CHAT, "expect: 200-maybe"), { responses: 1 });
    expect(interim).toEqual([]);
    expect(responses[0]?.status).toBe(200);
  });
});

describe("F11: a body that goes on after its refusal", () => {
  const kinds: [string, (length: number) => string][] = [
    ["with its length", (length) => rawPost("", CHAT).replace("content-length: 0", `content-length: ${length}`)],
    ["without its length", () => rawPost("", CHAT).replace("content-length: 0", "transfer-encoding: chunked")],
    ["of another type", (length) => rawPost("", CHAT).replace("content-length: 0", `content-length: ${length}`).replace("json", "xml")],
  ];

  it.concurrent.each(kinds)("%s: its sender still reads the answer, then the connection ends", async (_, head) => {
    const size = 32 * 1024 * 1024;
    for (let round = 0; round < 3; round++) {
      const socket = await open(edge.port);
      let reset = false;
      socket.on("error", () => {
        reset = true;
      });
      const answer = readRaw(socket, { wait: 5_000 });
      const text = head(size);
      socket.write(text);
      const piece = Buffer.alloc(64 * 1024, " ");
      const chunk = text.includes("chunked") ? Buffer.concat([Buffer.from("10000\r\n"), piece, Buffer.from("\r\n")]) : piece;
      for (let sent = 0; sent < size / 2 && socket.writable; sent += piece.length) {
        if (!socket.write(chunk)) await new Promise<void>((resolve) => socket.once("drain", resolve).once("close", resolve));
      }
      const { responses, closed } = await answer;
      expect(responses.map(({ status }) => status)).toEqual([text.includes("xml") ? 415 : 413]);
      expect({ closed, reset }).toEqual({ closed: true, reset: false });
    }
    expect(executed()).toHaveLength(0);
  });

  it("that never ends is not read for ever", async () => {
    const socket = await open(edge.port);
    const from = performance.now();
    const answer = readRaw(socket, { wait: 10_000 });
    socket.write(kinds[1]?.[1](0) ?? "");
    const piece = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65_536, " "), Buffer.from("\r\n")]);
    const timer = setInterval(() => socket.writable && socket.write(piece), 1);
    const { responses, closed } = await answer;
    clearInterval(timer);
    expect(responses.map(({ status }) => status)).toEqual([413]);
    expect(closed).toBe(true);
    expect(performance.now() - from).toBeLessThan(3_000);
  });

  it("is followed by another request: that one is not executed", async () => {
    const bytes = `${kinds[0]?.[1](LIMIT + 1)}${" ".repeat(LIMIT + 1)}${rawPost()}`;
    const { responses, closed } = await sendRaw(edge.port, bytes);
    expect(responses.map(({ status }) => status)).toEqual([413]);
    expect(closed).toBe(true);
    expect(executed()).toHaveLength(0);
  });
});
