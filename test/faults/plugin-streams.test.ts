import { type ChatChunk, type Exchange, GatewayError, type Next } from "headgate";
import { answerIn, forever, framesIn, gate, sse } from "headgate/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { expectNoSilentTruncation, type Rig, type RigOptions, startRig, untilTimedOut } from "../support/rig.ts";
import { UPSTREAMS } from "../support/scripted-provider.ts";
import { ask, askAndSee, CLIENTS, see } from "../support/sse-client.ts";

const TEXT = Array.from({ length: 12 }, (_, index) => ` word${index}`);
const WHOLE = TEXT.join("");
const MATRIX = CLIENTS.flatMap((client) => UPSTREAMS.map((upstream) => ({ client, upstream })));

let rig: Rig;
const start = async (options: RigOptions = {}) => {
  rig = await startRig(options);
  onTestFinished(rig.stop);
};

const BOOM = "boom: postgres://admin:hunter2@10.0.0.7/db";
const never = () => new Promise<void>(() => undefined);

/** Replaces the stream of a call by another made of it. */
function wrapping(name: string, wrap: (stream: AsyncIterable<ChatChunk>) => AsyncIterable<ChatChunk>) {
  return {
    name,
    async handle(exchange: Exchange, next: Next) {
      await next();
      if (exchange.reply?.kind === "stream") exchange.reply.stream = wrap(exchange.reply.stream);
    },
  };
}

async function* upTo(count: number, stream: AsyncIterable<ChatChunk>, then: () => unknown): AsyncGenerator<ChatChunk> {
  let left = count;
  for await (const chunk of stream) {
    if (left-- === 0) {
      await then();
      return;
    }
    yield chunk;
  }
}

describe("B18: a plugin's stream that goes wrong in the middle", () => {
  const WRONGS: [what: string, wrap: (stream: AsyncIterable<ChatChunk>) => AsyncIterable<ChatChunk>][] = [
    [
      "throws",
      (stream) =>
        upTo(5, stream, () => {
          throw new Error(BOOM);
        }),
    ],
    ["rejects with something that is no error", (stream) => upTo(5, stream, () => Promise.reject(BOOM))],
    [
      "gives what is no chunk",
      async function* (stream) {
        yield* upTo(5, stream, () => undefined);
        yield BOOM as unknown as ChatChunk;
      },
    ],
  ];

  it.each(MATRIX.flatMap((pair) => WRONGS.map(([what, wrap]) => ({ ...pair, what, wrap }))))(
    "$client from $upstream: one that $what becomes an error event, and the provider is let go of",
    async ({ client, upstream, wrap }) => {
      await start({ plugins: [wrapping("passes-on", (stream) => upTo(Infinity, stream, never)), wrapping("wrong", wrap)] });
      rig.upstream.next(sse([...framesIn(upstream, { text: TEXT }).slice(0, -3), forever()]));
      const seen = await askAndSee(rig.url, client, { model: `${upstream}/m` });
      expect(seen).toMatchObject({ status: 200, ended: false, errors: [expect.objectContaining({ type: "api_error" })] });
      expectNoSilentTruncation(seen, WHOLE);
      expect(seen.text).not.toBe("");
      expect(seen.raw).not.toMatch(/boom|hunter2|\.ts:/);
      expect(await (await rig.upstream.call(0)).closed).toBe("gone");
      expect(await rig.outcome(0)).toMatchObject({ kind: "cut", estimated: true, error: { code: "internal_error" } });
      await vi.waitFor(() => expect(rig.logger.lines.filter(({ level }) => level === "error")).toHaveLength(1), { interval: 1 });
    },
  );

  it.each(CLIENTS)("%s: one that ends with an error of ours says so in the client's words", async (client) => {
    const refuse = () => Promise.reject(new GatewayError("permission_denied", { message: "Not that word." }));
    await start({ plugins: [wrapping("censor", (stream) => upTo(5, stream, refuse))] });
    rig.upstream.next(answerIn("openai-chat", { text: TEXT }));
    const seen = await askAndSee(rig.url, client, { model: "openai-chat/m" });
    expect(seen.errors).toEqual([expect.objectContaining({ type: "permission_error", message: "Not that word." })]);
    expectNoSilentTruncation(seen, WHOLE);
    expect(await rig.outcome(0)).toMatchObject({ kind: "cut", error: { code: "permission_denied" } });
  });

  it.each(CLIENTS)("%s: one that never goes on is outlived by the call's deadline", async (client) => {
    await start({ plugins: [wrapping("hangs", (stream) => upTo(5, stream, never))], server: { limits: { callMs: 5_000 } } });
    rig.upstream.next(answerIn("openai-chat", { text: TEXT }));
    const seeing = askAndSee(rig.url, client, { model: "openai-chat/m" });
    await untilTimedOut(seeing, rig.clock);
    const seen = await seeing;
    expectNoSilentTruncation(seen, WHOLE);
    expect(await rig.outcome(0)).toMatchObject({ kind: "cut", error: { code: "deadline_exceeded" } });
  });

  it("one that never goes on does not outlive its client, and is told to stop", async () => {
    const told = gate();
    const hanging = (stream: AsyncIterable<ChatChunk>): AsyncIterableIterator<ChatChunk> => {
      const inner = stream[Symbol.asyncIterator]();
      let left = 2;
      const iterator: AsyncIterableIterator<ChatChunk> = {
        [Symbol.asyncIterator]: () => iterator,
        next: () => (left-- > 0 ? inner.next() : new Promise(() => undefined)),
        return: async () => {
          told.open();
          return { done: true, value: undefined };
        },
      };
      return iterator;
    };
    await start({ plugins: [wrapping("hangs", hanging)] });
    rig.upstream.next(sse([...framesIn("openai-chat", { text: TEXT }).slice(0, 6), forever()]));
    const response = await ask(rig.url, "openai-chat", { model: "openai-chat/m" });
    response.destroy();
    await told.until;
    expect(await rig.outcome(0)).toMatchObject({ kind: "cancelled" });
    expect(await (await rig.upstream.call(0)).closed).toBe("gone");
  });

  it("one that is left early is closed, and so is what it wraps", async () => {
    const closed = gate();
    async function* noting(stream: AsyncIterable<ChatChunk>) {
      try {
        yield* stream;
      } finally {
        closed.open();
      }
    }
    await start({ plugins: [wrapping("noting", noting)] });
    rig.upstream.next(sse([...framesIn("openai-chat", { text: TEXT }).slice(0, 6), forever()]));
    const response = await ask(rig.url, "openai-chat", { model: "openai-chat/m" });
    void see("openai-chat", response);
    response.destroy();
    await closed.until;
    expect(await (await rig.upstream.call(0)).closed).toBe("gone");
  });
});
