import { type Binding, bind, Clock, definePlugin, type Exchange, type GatewayConfig, Logger, type Outcome } from "headgate";
import { FakeClock, FakeLogger, ScriptedUpstream, startGateway } from "headgate/testing";
import { expect, vi } from "vitest";
import { z } from "zod";
import { provider, UPSTREAMS } from "./scripted-provider.ts";
import type { Seen } from "./sse-client.ts";

interface Settled {
  readonly exchange: Exchange;
  readonly outcome: Outcome;
}

/** A whole gateway on loopback between a client and a scripted upstream, with its time in the test's hands. */
export interface Rig {
  readonly url: string;
  readonly port: number;
  readonly upstream: ScriptedUpstream;
  readonly clock: FakeClock;
  readonly logger: FakeLogger;
  /** Calls that have ended, in that order. */
  readonly settled: readonly Settled[];
  /** The outcome of the call that settled as number `index`, as soon as it has. */
  outcome(index: number): Promise<Outcome>;
  /** Checks that nothing is left over of any call, then stops everything. */
  stop(): Promise<void>;
}

export interface RigOptions extends Partial<Pick<GatewayConfig, "providers" | "plugins" | "server" | "upstream" | "models">> {
  readonly services?: readonly Binding[];
}

export async function startRig({ plugins = [], services = [], ...config }: RigOptions = {}): Promise<Rig> {
  const upstream = await ScriptedUpstream.start();
  const clock = new FakeClock();
  const logger = new FakeLogger();
  const books = new Books();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on("warning", onWarning);
  const printed = vi.spyOn(console, "error");
  const { url, gateway } = await startGateway(
    { providers: UPSTREAMS.map((dialect) => provider(dialect, upstream.url)), ...config, plugins: [books.plugin, plugins] },
    [bind(Clock, clock), bind(Logger, logger), ...services],
  );
  const timers = clock.pending;
  return {
    url,
    port: Number(new URL(url).port),
    upstream,
    clock,
    logger,
    settled: books.settled,
    outcome: async (index) => {
      await vi.waitFor(() => expect(books.settled.length).toBeGreaterThan(index), { timeout: 5_000, interval: 2 });
      return (books.settled[index] as Settled).outcome;
    },
    async stop() {
      try {
        // I4, I8: no call, timer or socket is left, so that a stop has nothing to wait for, not even for the clock.
        await vi.waitFor(() => expect(books.settled).toHaveLength(books.begun), { timeout: 2_000, interval: 2 });
        await vi.waitFor(() => expect(clock.pending, "timers left over").toBe(timers), { timeout: 2_000, interval: 2 });
        const closed = vi.waitFor(() => expect(upstream.open, "sockets to the provider left over").toBe(0), {
          timeout: 2_000,
          interval: 2,
        });
        await expect(Promise.race([gateway.stop(), after(2_000, "still waiting")])).resolves.toBeUndefined();
        await closed;
        expect(warnings).toEqual([]);
        expect(printed).not.toHaveBeenCalled();
      } finally {
        process.off("warning", onWarning);
        printed.mockRestore();
        await clock.runUntil(gateway.stop({ now: true }));
        await upstream.close();
      }
    },
  };
}

/** I5: a clean end means the terminator and the whole text; anything else ends with an error event, and pretends nothing. */
export function expectNoSilentTruncation(seen: Seen, whole: string): void {
  if (seen.ended) {
    expect(seen).toMatchObject({ text: whole, errors: [], last: "end", broken: false });
    return;
  }
  expect(seen).toMatchObject({ errors: [expect.anything()], last: "error", finish: null, broken: false });
  expect(whole.startsWith(seen.text), "the text is a beginning of the whole").toBe(true);
}

/** Lets time pass, as long as it takes for an answer. */
export async function untilTimedOut(seeing: Promise<Seen>, clock: FakeClock): Promise<void> {
  let over = false;
  void seeing.finally(() => {
    over = true;
  });
  while (!over) await clock.advance(250);
}

function after<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}

/** Stands outermost and writes down how each call ended. */
class Books {
  begun = 0;
  readonly settled: Settled[] = [];
  readonly plugin = definePlugin({
    name: "books",
    options: z.strictObject({}),
    setup: () => ({
      handle: (exchange, next) => {
        this.begun += 1;
        exchange.onSettled((outcome) => void this.settled.push({ exchange, outcome }));
        return next();
      },
    }),
  })();
}
