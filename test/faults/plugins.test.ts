import { definePlugin, type Exchange, isChat, type Next, type PluginHooks } from "headgate";
import { answerIn } from "headgate/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { type Rig, type RigOptions, startRig, untilTimedOut } from "../support/rig.ts";
import { UPSTREAMS } from "../support/scripted-provider.ts";
import { askAndSee, CLIENTS } from "../support/sse-client.ts";

const TEXT = Array.from({ length: 12 }, (_, index) => ` word${index}`);
const WHOLE = TEXT.join("");
const _MATRIX = CLIENTS.flatMap((client) => UPSTREAMS.map((upstream) => ({ client, upstream })));

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
