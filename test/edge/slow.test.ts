import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHAT, chat, type Edge, MESSAGES, rawPost, startEdge } from "../support/edge.ts";
import { expectError } from "../support/error-body.ts";
import { open, type RawAnswer, readRaw } from "../support/raw-http.ts";

const HEADERS_MS = 600;
const REQUEST_MS = 1_200;
/** How often the limits are looked at, and what a busy machine may add. */
const LATENESS_MS = 1_000 + 700;

let edge: Edge;
beforeAll(async () => {
  edge = await startEdge({ server: { limits: { headersMs: HEADERS_MS, requestMs: REQUEST_MS } } });
});
afterAll(() => edge.stop());

/** Says `first`, then a byte of `rest` four times a second for as long as it is let. */
async function dribble(first: string, rest: string): Promise<RawAnswer & { readonly ms: number }> {
  const socket = await open(edge.port);
  const from = performance.now();
  const answer = readRaw(socket, { wait: 10_000 });
  socket.write(first);
  let at = 0;
  const timer = setInterval(() => socket.writable && socket.write(rest.charAt(at++ % rest.length)), 250);
  const seen = await answer;
  clearInterval(timer);
  return { ...seen, ms: performance.now() - from };
}

/** The slowest of a hundred good calls but one, in ms. */
async function slowestGood(): Promise<number> {
  const times: number[] = [];
  for (let call = 0; call < 100; call++) {
    const from = performance.now();
    expect((await edge.post(CHAT, chat())).status).toBe(200);
    times.push(performance.now() - from);
  }
  return times.sort((a, b) => a - b).at(-2) ?? 0;
}

describe("F2: a thousand clients that are slow", () => {
  it("get 408 in time, each in its own dialect, while the others are served as ever", async () => {
    await slowestGood();
    const usual = await slowestGood();
    const head = (path: string) => rawPost(undefined, path).split("\r\n\r\n", 1)[0] ?? "";
    const kinds = [
      ...Array<["headers", string, string]>(400).fill(["headers", `POST ${CHAT} HTTP/1.1\r\nhost: gateway\r\nx-a: `, "a"]),
      ...Array<["body", string, string]>(300).fill(["body", `${head(CHAT)}\r\n\r\n`, " "]),
      ...Array<["body", string, string]>(300).fill(["body", `${head(MESSAGES)}\r\n\r\n`, " "]),
    ];
    const slow = Promise.all(kinds.map(([, first, rest]) => dribble(first, rest)));
    const during = await slowestGood();
    const answers = await slow;
    for (const [index, { responses, closed, ms }] of answers.entries()) {
      const [kind, first] = kinds[index] as (typeof kinds)[number];
      const [answer] = responses;
      if (!answer) throw new Error("no answer");
      expect(answer.status).toBe(408);
      expect(expectError(answer, first.includes(MESSAGES) ? "anthropic" : "openai").message).toMatch(/in time/);
      expect(closed).toBe(true);
      expect(ms).toBeGreaterThan((kind === "headers" ? HEADERS_MS : REQUEST_MS) - 50);
      expect(ms).toBeLessThan((kind === "headers" ? HEADERS_MS : REQUEST_MS) + LATENESS_MS);
    }
    // Both ends of a thousand connections share this process; a gateway that waited for one of them would stand still.
    expect(during).toBeLessThan(2 * usual + 100);
  });

  it("that say nothing at all are let go", async () => {
    const socket = await open(edge.port);
    const from = performance.now();
    socket.resume();
    await once(socket, "close");
    expect(performance.now() - from).toBeLessThan(HEADERS_MS + LATENESS_MS);
  });

  it("that stop in the middle of a compressed body are let go", async () => {
    const { responses, closed } = await dribble(
      rawPost("", CHAT, "content-encoding: gzip").replace("content-length: 0", "content-length: 90"),
      "\x1f",
    );
    expect(responses.map(({ status }) => status)).toEqual([expect.toSatisfy((status) => status === 400 || status === 408)]);
    expect(closed).toBe(true);
  });
});
