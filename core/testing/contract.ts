import { afterEach, describe, expect, it } from "vitest";
import { compileChain, type Fault, type Link, type Run } from "../chain.ts";
import { frozenCopy } from "../config/plain.ts";
import type { Binding } from "../di.ts";
import { GatewayError } from "../errors.ts";
import type { Reply } from "../exchange.ts";
import type { PluginEntry, PluginHooks } from "../plugin.ts";
import { Database } from "../services/database.ts";
import { type ExchangeParts, exchange, type FakeExchange } from "./exchange.ts";
import { jsonReply, streamReply } from "./replies.ts";
import { type FakeServices, fakeServices } from "./services.ts";

export interface ContractSettings<Options> {
  /** What the plugin is built with; its defaults when left out. */
  readonly options?: Options;
  /** Services of the plugin's own need, made afresh for each instance; they win over the fakes. */
  readonly services?: (fakes: FakeServices) => readonly Binding[];
  /** The call it is tried with: one that it lets pass, where it can refuse. */
  readonly exchange?: ExchangeParts;
}

/** Real ms for which a plugin may wait for something other than the fake clock before that is moved on. */
const PATIENCE_MS = 25;
/** Real ms within which an aborted call has to end. */
const ABORT_MS = 1_000;

/**
 * The contract that every plugin keeps, as a vitest suite; it stands first in each plugin's own test. The plugin runs
 * in a real chain of one, with services whose time and chance are fake, over a downstream that the suite plays.
 */
export function describePlugin<Options>(
  name: string,
  factory: (options: Options) => PluginEntry,
  settings: ContractSettings<Options> = {},
): void {
  describe(`${name} keeps the plugin contract`, () => {
    const running: Instance[] = [];
    const boot = async () => {
      const instance = new Instance(factory(settings.options as Options), settings);
      await instance.start();
      running.push(instance);
      return instance;
    };
    afterEach(async () => {
      for (const instance of running.splice(0).reverse()) await instance.stop();
    });

    it("boots, and is called what it says", async () => {
      const { entry } = await boot();
      expect(entry.definition.name).toBe(name);
    });

    it("refuses an option that it does not know, and leaves the caller's own untouched", () => {
      const options = Object.freeze({ ...settings.options });
      const { definition } = factory(options as Options);
      expect(definition.options.safeParse(options).success).toBe(true);
      const stranger = definition.options.safeParse({ ...options, "no-such-option": 1 });
      expect(stranger.success, "its options are no z.strictObject").toBe(false);
    });

    for (const kind of ["json", "stream"] as const) {
      it(`answers, refuses or calls next exactly once (${kind})`, async () => {
        const instance = await boot();
        const { calls, error, faults, text } = await instance.call(kind, () => answerOf(kind));
        expect(faults).toEqual([]);
        if (error) {
          expect(error, "it threw something else than a GatewayError").toBeInstanceOf(GatewayError);
          expect(calls).toBeLessThanOrEqual(1);
        } else if (calls === 0) expect(text).not.toBe("");
        else {
          expect(calls).toBe(1);
          expect(text, "the answer did not come through whole").toContain(ANSWER);
        }
      });

      it(`passes an error from below through unchanged (${kind})`, async () => {
        const instance = await boot();
        const foreign = new GatewayError("upstream_rejected", { message: "not like this" });
        const { calls, error, faults } = await instance.call(kind, () => {
          throw foreign;
        });
        expect(faults).toEqual([]);
        if (calls > 0) expect(error).toBe(foreign);
      });
    }

    it("passes on that a stream broke off, and does not make it look whole", async () => {
      const instance = await boot();
      const foreign = new GatewayError("upstream_cut");
      const { calls, error } = await instance.call("stream", () => streamReply({ text: ANSWER }, foreign));
      if (calls > 0) expect(error).toBe(foreign);
    });

    it("shares nothing between two instances", async () => {
      const [busy, control] = [await boot(), await boot()];
      for (let round = 0; round < 5; round++) await busy.call("json", () => answerOf("json"));
      const late = await boot();
      const [expected, seen] = [await control.call("json", () => answerOf("json")), await late.call("json", () => answerOf("json"))];
      expect(seen.trace).toEqual(expected.trace);
      if (busy.hooks.handle) expect(busy.hooks, "setup gave the same object twice").not.toBe(control.hooks);
    });

    it("ends when the call is aborted while it waits for what is below", async () => {
      const instance = await boot();
      const call = instance.exchange("json");
      const below = () => new Promise<void>((_resolve, reject) => void call.onAbort(reject));
      const end = () => call.settle({ kind: "cancelled", status: 499 });
      const run = instance.run(call, below).then(end, end);
      await later(PATIENCE_MS, undefined);
      call.abort();
      const how = await Promise.race([run.then(() => "ended"), later(ABORT_MS, "still waiting")]);
      expect(how).toBe("ended");
    });

    it("stops cleanly, and leaves no timer behind", async () => {
      const instance = new Instance(factory(settings.options as Options), settings);
      const before = instance.fakes.clock.pending;
      await instance.start();
      await instance.call("stream", () => answerOf("stream"));
      await instance.stop();
      expect(instance.fakes.clock.pending).toBe(before);
    });
  });
}

const ANSWER = "Forty-two, they say.";

function answerOf(kind: "json" | "stream"): Reply {
  return kind === "json" ? jsonReply({ text: ANSWER }) : streamReply({ text: ANSWER });
}

/** What one call through a plugin came to. */
interface Observed {
  /** How often the plugin asked what is below it. */
  readonly calls: number;
  readonly error: unknown;
  readonly faults: readonly Fault[];
  /** The answer as JSON text, streams joined. */
  readonly text: string;
  /** All that a twin of the plugin has to show as well. */
  readonly trace: unknown;
}

/** One plugin in a chain of its own. */
class Instance {
  readonly entry: PluginEntry;
  readonly hooks: PluginHooks;
  readonly fakes: FakeServices;
  readonly #settings: ContractSettings<unknown>;
  readonly #links: Link[];

  constructor(entry: PluginEntry, settings: ContractSettings<unknown>) {
    this.entry = entry;
    this.#settings = settings;
    this.fakes = fakeServices();
    for (const binding of settings.services?.(this.fakes) ?? []) this.fakes.scope.bind(binding);
    const { definition } = entry;
    const options = frozenCopy(definition.options.parse(entry.options));
    this.hooks = definition.setup(options, this.fakes.scope.inject(definition.inject ?? {}));
    const handle = this.hooks.handle?.bind(this.hooks);
    const { name, failMode = "closed", reenters = false } = definition;
    this.#links = handle ? [{ name, handle, failMode, reenters }] : [];
  }

  async start(): Promise<void> {
    const { database, scope } = this.fakes;
    if (this.hooks.migrations && scope.get(Database) === database) await database.migrate(this.hooks.migrations);
    await this.hooks.start?.();
  }

  async stop(): Promise<void> {
    await this.hooks.stop?.();
    await this.fakes.database.close();
  }

  exchange(kind: "json" | "stream"): FakeExchange {
    const parts = this.#settings.exchange ?? {};
    return exchange({ ...parts, request: { ...parts.request, stream: kind === "stream" } });
  }

  run(call: FakeExchange, innermost: Run, faults: Fault[] = []): Promise<void> {
    const context = { clock: this.fakes.clock, pluginMs: 30_000, onFault: (_: unknown, fault: Fault) => void faults.push(fault) };
    return compileChain(this.#links, innermost, context)(call);
  }

  /** One call from its beginning until it has settled; the clock moves on whenever nothing else does. */
  async call(kind: "json" | "stream", below: () => Reply): Promise<Observed> {
    const call = this.exchange(kind);
    const faults: Fault[] = [];
    let calls = 0;
    let error: unknown;
    let text = "";
    const innermost = async () => {
      calls += 1;
      // As long as a real provider would take at least, so that a forgotten await shows.
      await later(0, undefined);
      call.reply = below();
    };
    const work = async () => {
      try {
        await this.run(call, innermost, faults);
        text = await read(call.reply);
      } catch (thrown) {
        error = thrown;
      }
      await call.settle(error ? { kind: "failed", status: 502 } : {});
    };
    await this.#drive(work());
    const { notes, headers, request, targets } = call;
    const code = error instanceof GatewayError ? error.code : error;
    return { calls, error, faults, text, trace: { calls, code, text, notes, headers: [...headers], request, targets } };
  }

  async #drive(work: Promise<void>): Promise<void> {
    let over = false;
    const done = work.finally(() => {
      over = true;
    });
    while (!over) {
      const idle = await Promise.race([done.then(() => false), later(PATIENCE_MS, true)]);
      if (idle && this.fakes.database.waiting === 0 && this.fakes.clock.pending > 0) await this.fakes.clock.advanceToNext();
    }
    await done;
  }
}

async function read(reply: Reply | undefined): Promise<string> {
  if (!reply) return "";
  if (reply.kind === "json") return JSON.stringify(reply.body);
  let text = "";
  let rest = "";
  for await (const chunk of reply.stream) {
    const content = chunk.choices[0]?.delta.content;
    if (content) text += content;
    else rest += JSON.stringify(chunk);
  }
  return text + rest;
}

function later<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}
