import { type ChatChunk, definePlugin, type Exchange, GatewayError, isChat, type Next, type PluginHooks } from "headgate";
import { answerIn, type FakeClock, forever, framesIn, gate, sse } from "headgate/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { expectNoSilentTruncation, type Rig, type RigOptions, startRig } from "../support/rig.ts";
import { UPSTREAMS } from "../support/scripted-provider.ts";
import { ask, askAndSee, CLIENTS, type Seen, see } from "../support/sse-client.ts";

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

/** What a plugin does wrong, and whether it had called `next` by then. */
const FAULTS: Record<
  string,
  { readonly next: boolean; readonly hangs?: true; handle(exchange: Exchange, next: Next, options: Options): unknown }
> = {
  "throws at once": {
    next: false,
    handle() {
      throw new Error(BOOM);
    },
  },
  "rejects before next()": { next: false, handle: () => Promise.reject(new Error(BOOM)) },
  "rejects with something that is no error": { next: false, handle: () => Promise.reject(BOOM) },
  "rejects after next()": {
    next: true,
    async handle(_, next) {
      await next();
      throw new Error(BOOM);
    },
  },
  "never resolves": { next: false, hangs: true, handle: never },
  "never resolves after next()": {
    next: true,
    hangs: true,
    async handle(_, next) {
      await next();
      await never();
    },
  },
  "calls next() twice": {
    next: true,
    async handle(_, next) {
      await next();
      await next();
    },
  },
  "calls next() twice at once": { next: true, handle: (_, next) => Promise.all([next(), next()]) },
  "does not await next()": {
    next: true,
    handle(_, next) {
      void next();
    },
  },
  "neither answers nor calls next()": { next: false, handle: () => undefined },
  "changes its options": {
    next: false,
    handle(_, next, { nested }) {
      nested.list.push("changed");
      return next();
    },
  },
  "changes the request in place": {
    next: false,
    handle(exchange, next) {
      (exchange.request as { model: string }).model = "changed";
      return next();
    },
  },
};

const Options = z.strictObject({ nested: z.strictObject({ list: z.array(z.string()) }) });
type Options = z.output<typeof Options>;

/** Does what the request's message says. */
const faulty = (failMode: "open" | "closed") =>
  definePlugin({
    name: "faulty",
    options: Options,
    failMode,
    setup: (options) => ({
      handle(exchange, next) {
        expect(options).toEqual({ nested: { list: ["given"] } });
        const fault = FAULTS[String(isChat(exchange) && exchange.request.messages[0]?.content)];
        return fault ? (fault.handle(exchange, next, options) as Promise<void>) : next();
      },
    }),
  });

/** Three plugins that do nothing wrong and write down when they clean up. */
function tidy(cleaned: string[]) {
  return ["outer", "middle", "inner"].map((name) => ({
    name,
    handle(exchange: Exchange, next: Next) {
      exchange.onSettled(() => void cleaned.push(name));
      return next();
    },
  }));
}

describe("G8: a plugin that does wrong", () => {
  const cases = (["open", "closed"] as const).flatMap((failMode) => [0, 1, 2, 3].map((position) => ({ failMode, position })));

  it.each(cases)(
    "at position $position, failing $failMode: its fail mode is what happens, whatever it does",
    async ({ failMode, position }) => {
      const cleaned: string[] = [];
      const given = { nested: { list: ["given"] } };
      const plugins = tidy(cleaned);
      await start({
        plugins: [plugins.slice(0, position), faulty(failMode)(given), plugins.slice(position)],
        server: { limits: { pluginMs: 2_000 } },
      });
      rig.upstream.always(answerIn("openai-chat", { text: TEXT }));
      for (const [name, { next, hangs }] of Object.entries(FAULTS)) {
        for (const { client, stream } of CLIENTS.flatMap((each) => [true, false].map((stream) => ({ client: each, stream })))) {
          const what = `${name}, ${client}, stream: ${stream}`;
          cleaned.length = 0;
          const calls = rig.settled.length;
          const seeing = askAndSee(rig.url, client, { model: "openai-chat/m", stream, content: name });
          if (hangs) await untilTimedOut(seeing, rig.clock);
          const seen = await seeing;
          const { kind, status, error } = await rig.outcome(calls);

          if (failMode === "open") {
            expect(seen, what).toMatchObject({ status: 200, text: WHOLE, ended: true, errors: [] });
            expect(kind, what).toBe("complete");
          } else {
            expect(seen.status, what).toBe(hangs ? 504 : 500);
            expect(seen.errors, what).toEqual([
              expect.objectContaining({ type: "api_error", message: expect.stringContaining('"faulty"') }),
            ]);
            expect([kind, status, error?.code, error?.plugin]).toEqual([
              "failed",
              hangs ? 504 : 500,
              hangs ? "plugin_timeout" : "plugin_failed",
              "faulty",
            ]);
          }
          // Those that had their turn clean up, latest first.
          const begun = plugins.slice(0, failMode === "open" || next ? undefined : position).map((plugin) => plugin.name);
          await vi.waitFor(() => expect(cleaned, what).toEqual(begun.toReversed()), { interval: 1 });
          expect(seen.raw).not.toMatch(/boom|hunter2|10\.0\.0\.7|\.ts:/);
          const said = rig.logger.lines.filter(({ level }) => level === "error");
          expect(said.at(-1)).toMatchObject({
            message: "a plugin failed",
            fields: { plugin: "faulty", phase: next ? "after" : "before", failMode },
          });
          expect(said, what).toHaveLength(calls + 1);
        }
      }
      const seen = await askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" });
      expect(seen).toMatchObject({ status: 200, text: WHOLE, ended: true });
      expect(given).toEqual({ nested: { list: ["given"] } });
    },
  );

  it("that hangs is outlived by the call's own deadline, and leaves nothing to the provider", async () => {
    await start({ plugins: [{ name: "hangs", handle: never }], server: { limits: { callMs: 5_000 } } });
    const seeing = askAndSee(rig.url, "anthropic-messages", { model: "openai-chat/m" });
    await untilTimedOut(seeing, rig.clock);
    expect(await seeing).toMatchObject({ status: 504, errors: [expect.objectContaining({ type: "api_error" })] });
    expect(await rig.outcome(0)).toMatchObject({ kind: "failed", error: { code: "deadline_exceeded" } });
    expect(rig.upstream.accepted).toBe(0);
  });

  it("when the call has ended harms neither the others' cleaning up nor the gateway", async () => {
    const cleaned: string[] = [];
    const [outer, middle, inner] = tidy(cleaned);
    const late = {
      name: "late",
      handle(exchange: Exchange, next: Next) {
        exchange.onSettled(() => {
          throw new Error(BOOM);
        });
        exchange.onSettled(() => Promise.reject(new Error(BOOM)));
        return next();
      },
    };
    await start({ plugins: [outer, middle, late, inner] });
    rig.upstream.always(answerIn("openai-chat", { text: TEXT }));
    expect(await askAndSee(rig.url, "openai-chat", { model: "openai-chat/m" })).toMatchObject({ status: 200, text: WHOLE });
    await rig.outcome(0);
    expect(cleaned).toEqual(["inner", "middle", "outer"]);
    const said = rig.logger.lines.filter(({ level }) => level === "error");
    expect(said.map(({ fields }) => [fields.plugin, fields.phase])).toEqual([
      ["late", "settled"],
      ["late", "settled"],
    ]);
  });

  it("in its stop() does not keep those before it from stopping, in reverse", async () => {
    const stopped: string[] = [];
    const stopping = (name: string, stop: NonNullable<PluginHooks["stop"]>) =>
      definePlugin({
        name,
        options: z.strictObject({}),
        setup: () => ({
          stop() {
            stopped.push(name);
            return stop();
          },
        }),
      })();
    rig = await startRig({
      plugins: [
        stopping("first", () => undefined),
        stopping("throws", () => {
          throw new Error(BOOM);
        }),
        stopping("rejects", () => Promise.reject(new Error(BOOM))),
        stopping("last", () => undefined),
      ],
    });
    await rig.stop();
    expect(stopped).toEqual(["last", "rejects", "throws", "first"]);
  });
});

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

/** Lets time pass, as long as it takes for an answer. */
async function untilTimedOut(seeing: Promise<Seen>, clock: FakeClock): Promise<void> {
  let over = false;
  void seeing.finally(() => {
    over = true;
  });
  while (!over) await clock.advance(250);
}
