import { GatewayError } from "./errors.ts";
import type { ActiveLink, LiveExchange } from "./live-exchange.ts";
import type { PluginHooks } from "./plugin.ts";
import type { Clock } from "./services/clock.ts";

/** One plugin instance in its place. */
export interface Link {
  readonly name: string;
  readonly handle: NonNullable<PluginHooks["handle"]>;
  readonly failMode: "open" | "closed";
  readonly reenters: boolean;
}

/** Runs one exchange to the point where its answer is committed, or rejects with what the client is to be told. */
export type Run = (exchange: LiveExchange) => Promise<void>;

/** A plugin that threw, hung or broke the contract. */
export interface Fault {
  readonly plugin: string;
  readonly phase: "before" | "after";
  readonly failMode: "open" | "closed";
  readonly error: unknown;
}

export interface ChainContext {
  readonly clock: Clock;
  /** Longest a plugin may work on one call itself, in ms. */
  readonly pluginMs: number;
  readonly onFault: (exchange: LiveExchange, fault: Fault) => void;
}

/** The contract was broken by a plugin; the message says how to mend it. */
class ContractError extends Error {
  override readonly name = "ContractError";
}

/** Nests the links around `innermost`, first link outermost. Done once per config; a call then runs no code but the links' own guards. */
export function compileChain(links: readonly Link[], innermost: Run, context: ChainContext): Run {
  return links.reduceRight<Run>(
    (downstream, link) => (exchange) =>
      new Promise<void>((resolve, reject) => {
        new LinkRun(link, exchange, downstream, context, resolve, reject).start();
      }),
    innermost,
  );
}

/**
 * One plugin's turn at one exchange: hands it `next`, watches that it keeps the contract, tells faults of its own from
 * errors that merely pass through, and times it.
 */
class LinkRun implements ActiveLink {
  readonly name: string;
  readonly #link: Link;
  readonly #exchange: LiveExchange;
  readonly #downstream: Run;
  readonly #context: ChainContext;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #outer: ActiveLink | undefined;

  /** `own`: the plugin's code is at work; `inside`: it waits for `next()`; `done`: its turn is over. */
  #state: "own" | "inside" | "done" = "own";
  #since: number;
  #spent = 0;
  #tries = 0;
  /** The try under way, or the last one. */
  #inner: Promise<void> | undefined;
  /** What came up from below on the last try. */
  #foreign: { error: unknown } | undefined;

  constructor(
    link: Link,
    exchange: LiveExchange,
    downstream: Run,
    context: ChainContext,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.name = link.name;
    this.#link = link;
    this.#exchange = exchange;
    this.#downstream = downstream;
    this.#context = context;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#outer = exchange.active;
    this.#since = context.clock.monotonic();
  }

  start(): void {
    this.#exchange.active = this;
    try {
      const turn = this.#link.handle(this.#exchange, this.#next);
      if (typeof turn?.then === "function") turn.then(this.#returned, this.#threw);
      else this.#returned();
    } catch (error) {
      this.#threw(error);
    }
  }

  checkTime(now: number): void {
    if (this.#state !== "own" || now - this.#since < this.#context.pluginMs) return;
    this.#fault(new GatewayError("plugin_timeout", { message: `The plugin "${this.name}" did not finish in time.` }));
  }

  readonly #next = (): Promise<void> => {
    const breach = this.#breach();
    if (breach) return Promise.reject(new ContractError(breach));
    this.#tries++;
    this.#foreign = undefined;
    this.#exchange.reply = undefined;
    this.#pause();
    this.#state = "inside";
    const inner = this.#downstream(this.#exchange).then(this.#resume, (error) => {
      this.#foreign = { error };
      this.#resume();
      throw error;
    });
    // A plugin that forgets to await must not turn a downstream error into an unhandled rejection.
    inner.catch(ignore);
    this.#inner = inner;
    return inner;
  };

  #breach(): string | undefined {
    if (this.#state === "done") return `${this.name} called next() after its handle() had ended`;
    if (this.#state === "inside") return `${this.name} called next() again before the first call had settled`;
    if (this.#tries > 0 && !this.#link.reenters) return `${this.name} called next() twice; only a plugin with "reenters: true" may`;
    return undefined;
  }

  readonly #resume = (): void => {
    if (this.#state !== "inside") return;
    this.#state = "own";
    this.#since = this.#context.clock.monotonic();
    this.#exchange.active = this;
  };

  #pause(): void {
    this.#spent += this.#context.clock.monotonic() - this.#since;
  }

  /** Ends the turn; false when it had ended already. */
  #close(): boolean {
    if (this.#state === "done") return false;
    if (this.#state === "own") this.#pause();
    this.#state = "done";
    this.#exchange.timings.push({ plugin: this.name, ms: this.#spent });
    this.#exchange.active = this.#outer;
    return true;
  }

  readonly #returned = (): void => {
    if (this.#state === "done") return;
    if (this.#state === "inside") return this.#fault(new ContractError(`${this.name} did not await next()`));
    if (this.#exchange.reply) {
      this.#close();
      return this.#resolve();
    }
    if (this.#foreign) return this.#fault(new ContractError(`${this.name} swallowed an error from next() and gave no reply of its own`));
    this.#fault(new ContractError(`${this.name} neither called next() nor set exchange.reply`));
  };

  readonly #threw = (error: unknown): void => {
    if (this.#state === "done") return;
    if (this.#foreign && this.#foreign.error === error) {
      this.#close();
      return this.#reject(error);
    }
    if (error instanceof GatewayError) {
      if (this.#state === "inside") this.#exchange.abort(error);
      error.plugin ??= this.name;
      this.#close();
      return this.#reject(error);
    }
    this.#fault(error);
  };

  #fault(error: unknown): void {
    const { failMode } = this.#link;
    const wasInside = this.#state === "inside";
    if (!this.#close()) return;
    this.#context.onFault(this.#exchange, { plugin: this.name, phase: this.#tries === 0 ? "before" : "after", failMode, error });
    if (failMode === "open") return this.#goOnWithout(wasInside);
    const shown =
      error instanceof GatewayError
        ? error
        : new GatewayError("plugin_failed", { message: `The plugin "${this.name}" failed.`, cause: error });
    shown.plugin = this.name;
    if (wasInside) this.#exchange.abort(shown);
    this.#reject(this.#foreign ? this.#foreign.error : shown);
  }

  /** The fault of an `open` plugin leaves the call as if the plugin were not there. */
  #goOnWithout(wasInside: boolean): void {
    if (this.#tries === 0) {
      this.#exchange.reply = undefined;
      this.#downstream(this.#exchange).then(this.#resolve, this.#reject);
    } else if (wasInside) this.#inner?.then(this.#resolve, this.#reject);
    else if (this.#foreign) this.#reject(this.#foreign.error);
    else this.#resolve();
  }
}

function ignore(): void {}
