import { describe, expect, it } from "vitest";
import { compileChain, type Fault, type Link, type Run } from "./chain.ts";
import { GatewayError } from "./errors.ts";
import { LiveExchange } from "./live-exchange.ts";
import { FakeClock } from "./testing/clock.ts";

const body = { id: "x", object: "chat.completion" as const, created: 0, model: "m", choices: [] };
const reply = () => ({ kind: "json" as const, body });

function exchange(): LiveExchange {
  return new LiveExchange({
    id: "req_1",
    operation: "chat",
    dialect: "openai-chat",
    client: { ip: "", headers: {} },
    startedAt: 0,
    wire: {},
    request: { model: "m", messages: [] },
  });
}

function link(name: string, handle: Link["handle"], more: Partial<Link> = {}): Link {
  return { name, handle, failMode: "closed", reenters: false, ...more };
}

const passing = (name: string) => link(name, (_exchange, next) => next());
const answering = async (call: Pick<LiveExchange, "reply">) => {
  call.reply = reply();
};

function chain(links: Link[], innermost: Run = answering) {
  const clock = new FakeClock();
  const faults: Fault[] = [];
  const call = exchange();
  const run = compileChain(links, innermost, { clock, pluginMs: 1_000, onFault: (_exchange, fault) => faults.push(fault) });
  return { clock, faults, call, run: () => run(call) };
}

describe("a chain", () => {
  it("runs its links in order and unwinds them in reverse", async () => {
    const seen: string[] = [];
    const tracing = (name: string) =>
      link(name, async (_exchange, next) => {
        seen.push(`${name}>`);
        await next();
        seen.push(`<${name}`);
      });
    await chain([tracing("a"), tracing("b")]).run();
    expect(seen).toEqual(["a>", "b>", "<b", "<a"]);
  });

  it("stops at a link that answers", async () => {
    const test = chain([passing("a"), link("b", answering), link("c", () => expect.unreachable())]);
    await test.run();
    expect(test.call.reply).toEqual(reply());
  });

  it("lets a refusal through unchanged, naming who refused", async () => {
    const refusal = new GatewayError("rate_limited");
    const test = chain([passing("a"), link("b", () => Promise.reject(refusal), { failMode: "open" })]);
    await expect(test.run()).rejects.toBe(refusal);
    expect(refusal.plugin).toBe("b");
    expect(test.faults).toEqual([]);
  });

  it("lets an error from below pass through every link unchanged", async () => {
    const error = new GatewayError("upstream_failed");
    const test = chain([passing("a"), passing("b")], () => Promise.reject(error));
    await expect(test.run()).rejects.toBe(error);
    expect(test.faults).toEqual([]);
  });

  it("notes and times each plugin under its own name, without the time of what is below it", async () => {
    const test = chain([
      link("outer", async (call, next) => {
        await test.clock.advance(5);
        await next();
        call.note("after");
        await test.clock.advance(7);
      }),
      link("inner", async (call, next) => {
        call.note("before");
        await test.clock.advance(100);
        await next();
      }),
    ]);
    await test.run();
    expect(test.call.timings).toEqual([
      { plugin: "inner", ms: 100 },
      { plugin: "outer", ms: 12 },
    ]);
    expect(test.call.notes).toEqual([
      { plugin: "inner", text: "before" },
      { plugin: "outer", text: "after" },
    ]);
  });

  it("lets a plugin that declares it try again once the last try has settled, and clears the reply between", async () => {
    let tries = 0;
    const test = chain(
      [
        link(
          "failover",
          async (call, next) => {
            await next().catch(() => undefined);
            expect(call.reply).toBeUndefined();
            await next();
          },
          { reenters: true },
        ),
        passing("breaker"),
      ],
      async (call) => {
        if (++tries === 1) throw new GatewayError("upstream_failed");
        call.reply = reply();
      },
    );
    await test.run();
    expect(tries).toBe(2);
    expect(test.faults).toEqual([]);
  });
});

/** Every way a plugin can break, told by its effect on a call that would otherwise succeed. */
const FAULTS: Record<string, { phase: Fault["phase"]; message: RegExp; handle: Link["handle"] }> = {
  "throws before next": { phase: "before", message: /broken/, handle: () => Promise.reject(new Error("broken")) },
  "throws synchronously": {
    phase: "before",
    message: /broken/,
    handle: () => {
      throw new TypeError("broken");
    },
  },
  "throws something that is no error": { phase: "before", message: /^undefined$/, handle: () => Promise.reject(undefined) },
  "throws after next": {
    phase: "after",
    message: /broken/,
    handle: async (_exchange, next) => {
      await next();
      throw new Error("broken");
    },
  },
  "neither answers nor calls next": { phase: "before", message: /neither called next/, handle: async () => undefined },
  "forgets to await next": { phase: "after", message: /did not await next/, handle: (_exchange, next) => void next() },
  "forgets to await next twice": {
    phase: "after",
    message: /did not await next/,
    handle: (_exchange, next) => {
      void next();
      void next();
    },
  },
  "calls next twice": {
    phase: "after",
    message: /called next\(\) twice/,
    handle: async (_exchange, next) => {
      await next();
      await next();
    },
  },
  "never resolves": { phase: "before", message: /did not finish in time/, handle: () => new Promise(() => undefined) },
  "never resolves after next": {
    phase: "after",
    message: /did not finish in time/,
    handle: async (_exchange, next) => {
      await next();
      await new Promise(() => undefined);
    },
  },
};

describe.each(Object.entries(FAULTS))("a plugin that %s", (_name, fault) => {
  async function run(test: ReturnType<typeof chain>): Promise<void> {
    const running = test.run();
    running.catch(() => undefined);
    await new Promise(setImmediate);
    await test.clock.advance(1_001);
    test.call.active?.checkTime(test.clock.monotonic());
    return running;
  }

  it.each([0, 1, 2])("fails the call when closed, at position %i", async (position) => {
    const links = [passing("a"), passing("b")];
    links.splice(position, 0, link("bad", fault.handle));
    const test = chain(links);
    await expect(run(test)).rejects.toMatchObject({ code: expect.stringMatching(/^plugin_/), plugin: "bad" });
    expect(test.faults).toMatchObject([{ plugin: "bad", phase: fault.phase, failMode: "closed" }]);
    const { error } = test.faults[0] as Fault;
    expect(error instanceof Error ? error.message : String(error)).toMatch(fault.message);
  });

  it.each([0, 1, 2])("is left out when open, at position %i", async (position) => {
    const links = [passing("a"), passing("b")];
    links.splice(position, 0, link("bad", fault.handle, { failMode: "open" }));
    const test = chain(links);
    await run(test);
    expect(test.call.reply).toEqual(reply());
    expect(test.faults).toMatchObject([{ plugin: "bad", phase: fault.phase, failMode: "open" }]);
  });

  it("leaves no rejection that nobody hears of, when what is below it fails as well", async () => {
    const unheard: unknown[] = [];
    const listen = (error: unknown) => void unheard.push(error);
    process.on("unhandledRejection", listen);
    for (const outer of [link("forgetful", (_exchange, next) => void next()), passing("a")]) {
      const test = chain([outer, link("bad", fault.handle, { failMode: "open" })], () =>
        Promise.reject(new GatewayError("upstream_failed")),
      );
      await expect(run(test)).rejects.toBeInstanceOf(GatewayError);
    }
    await new Promise(setImmediate);
    process.off("unhandledRejection", listen);
    expect(unheard).toEqual([]);
  });

  it("never hides what failed below it", async () => {
    const error = new GatewayError("upstream_failed");
    const test = chain([link("bad", fault.handle, { failMode: "open" })], () => Promise.reject(error));
    await expect(run(test)).rejects.toBe(error);
  });
});

describe("a plugin that swallows an error from below", () => {
  it.each(["open", "closed"] as const)("is told on, and the client still gets the error, when %s", async (failMode) => {
    const error = new GatewayError("upstream_failed");
    const swallow = link("bad", (_exchange, next) => next().catch(() => undefined), { failMode });
    const test = chain([swallow], () => Promise.reject(error));
    await expect(test.run()).rejects.toBe(error);
    expect(test.faults).toMatchObject([{ plugin: "bad", phase: "after" }]);
  });

  it("may answer in its place", async () => {
    const answer = link("cache", async (call, next) => {
      await next().catch(() => undefined);
      call.reply = reply();
    });
    const test = chain([answer], () => Promise.reject(new GatewayError("upstream_failed")));
    await test.run();
    expect(test.faults).toEqual([]);
  });
});

describe("what comes after the end", () => {
  const outcome = { kind: "complete", status: 200, usage: null, estimated: false } as const;

  it("runs once, latest first, and one failure stops nobody", async () => {
    const call = exchange();
    const seen: string[] = [];
    call.onSettled(() => void seen.push("first"));
    call.onSettled(() => Promise.reject(new Error("broken")));
    call.onSettled(async () => void seen.push("last"));
    const failed: unknown[] = [];
    await call.settle(outcome, (plugin, error) => failed.push([plugin, error]));
    await call.settle(outcome, () => expect.unreachable());
    expect(seen).toEqual(["last", "first"]);
    expect(failed).toMatchObject([["core", { message: "broken" }]]);
  });
});
