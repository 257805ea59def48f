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

/** A link or what is innermost; `now` is when its turn begins, monotonic ms. */
type Stage = (exchange: LiveExchange, now: number) => Promise<void>;

/** Nests the links around `innermost`, first link outermost. Done once per config; a call then runs no code but the links' own guards. */
export function compileChain(links: readonly Link[], innermost: Run, context: ChainContext): Run {
  const { clock } = context;
  const bottom: Stage = (exchange) => {
    const above = exchange.active;
    const ended: Promise<void> = innermost(exchange).then(
      () => above?.landed(clock.monotonic()),
      (error) => {
        above?.failed(error, clock.monotonic());
        // Not before: calls that succeed need not pay for it.
        seenTo(ended);
        throw error;
      },
    );
    return ended;
  };
  const first = links.reduceRight<Stage>(
    (downstream, link) => (exchange, now) => new LinkRun(link, exchange, downstream, context, now).start(),
    bottom,
  );
  return (exchange) => first(exchange, clock.monotonic());
}

/**
 * One plugin's turn at one exchange: hands it `next`, watches that it keeps the contract, tells faults of its own from
 * errors that merely pass through, and times it. Links tell each other how they ended, at once and beside their promises,
 * so that a plugin which returns what `next()` gave it needs no promise of its own.
 */
class LinkRun implements ActiveLink {
  readonly name: string;
  readonly #link: Link;
  readonly #exchange: LiveExchange;
  readonly #downstream: Stage;
  readonly #context: ChainContext;
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
  /** Whether the plugin returned what `next()` gave it, so that its turn ends as that does. */
  #passing = false;
  /** What its turn comes to, when that is another promise. */
  #own: PromiseWithResolvers<void> | undefined;

  constructor(link: Link, exchange: LiveExchange, downstream: Stage, context: ChainContext, now: number) {
    this.name = link.name;
    this.#link = link;
    this.#exchange = exchange;
    this.#downstream = downstream;
    this.#context = context;
    this.#outer = exchange.active;
    this.#since = now;
  }

  start(): Promise<void> {
    this.#exchange.active = this;
    try {
      const turn = this.#link.handle(this.#exchange, this.#next);
      if (turn && turn === this.#inner && this.#state === "inside") {
        this.#passing = true;
        return turn;
      }
      return this.#until(turn);
    } catch (error) {
      return this.#until(Promise.reject(error));
    }
  }

  #until(turn: ReturnType<Link["handle"]>): Promise<void> {
    this.#own = Promise.withResolvers();
    const promise = seenTo(this.#own.promise);
    if (typeof turn?.then === "function") {
      turn.then(
        () => this.#returned(),
        (error) => this.#threw(error),
      );
    } else this.#returned();
    return promise;
  }

  checkTime(now: number): void {
    if (this.#state !== "own" || now - this.#since < this.#context.pluginMs) return;
    this.#fault(new GatewayError("plugin_timeout", { message: `The plugin "${this.name}" did not finish in time.` }));
  }

  readonly #next = (): Promise<void> => {
    const breach = this.#breach();
    if (breach) return seenTo(Promise.reject(new ContractError(breach)));
    this.#tries++;
    this.#foreign = undefined;
    this.#exchange.reply = undefined;
    const now = this.#context.clock.monotonic();
    this.#spent += now - this.#since;
    this.#state = "inside";
    this.#inner = this.#downstream(this.#exchange, now);
    return this.#inner;
  };

  #breach(): string | undefined {
    if (this.#state === "done") return `${this.name} called next() after its handle() had ended`;
    if (this.#state === "inside") return `${this.name} called next() again before the first call had settled`;
    if (this.#tries > 0 && !this.#link.reenters) return `${this.name} called next() twice; only a plugin with "reenters: true" may`;
    return undefined;
  }

  landed(now: number): void {
    if (this.#state !== "inside") return;
    this.#resume(now);
    if (this.#passing) this.#succeed(now);
  }

  failed(error: unknown, now: number): void {
    if (this.#state !== "inside") return;
    this.#foreign = { error };
    this.#resume(now);
    if (this.#passing) this.#fail(error, now);
  }

  #resume(now: number): void {
    this.#state = "own";
    this.#since = now;
    this.#exchange.active = this;
  }

  /** Ends the turn; false when it had ended already. */
  #close(now: number): boolean {
    if (this.#state === "done") return false;
    if (this.#state === "own") this.#spent += now - this.#since;
    this.#state = "done";
    this.#exchange.timings.push({ plugin: this.name, ms: this.#spent });
    this.#exchange.active = this.#outer;
    return true;
  }

  #succeed(now: number): void {
    this.#close(now);
    this.#outer?.landed(now);
    this.#own?.resolve();
  }

  #fail(error: unknown, now: number): void {
    this.#close(now);
    this.#outer?.failed(error, now);
    this.#own?.reject(error);
  }

  #returned(): void {
    if (this.#state === "done") return;
    if (this.#state === "inside") return this.#fault(new ContractError(`${this.name} did not await next()`));
    if (this.#exchange.reply) return this.#succeed(this.#context.clock.monotonic());
    if (this.#foreign) return this.#fault(new ContractError(`${this.name} swallowed an error from next() and gave no reply of its own`));
    this.#fault(new ContractError(`${this.name} neither called next() nor set exchange.reply`));
  }

  #threw(error: unknown): void {
    if (this.#state === "done") return;
    const now = this.#context.clock.monotonic();
    if (this.#foreign && this.#foreign.error === error) return this.#fail(error, now);
    if (!(error instanceof GatewayError)) return this.#fault(error);
    if (this.#state === "inside") this.#exchange.abort(error);
    error.plugin ??= this.name;
    this.#fail(error, now);
  }

  #fault(error: unknown): void {
    const { failMode } = this.#link;
    const wasInside = this.#state === "inside";
    const now = this.#context.clock.monotonic();
    if (!this.#close(now)) return;
    this.#context.onFault(this.#exchange, { plugin: this.name, phase: this.#tries === 0 ? "before" : "after", failMode, error });
    if (failMode === "open") return this.#goOnWithout(wasInside, now);
    const shown =
      error instanceof GatewayError
        ? error
        : new GatewayError("plugin_failed", { message: `The plugin "${this.name}" failed.`, cause: error });
    shown.plugin = this.name;
    if (wasInside) this.#exchange.abort(shown);
    this.#fail(this.#foreign ? this.#foreign.error : shown, now);
  }

  /** The fault of an `open` plugin leaves the call as if the plugin were not there. */
  #goOnWithout(wasInside: boolean, now: number): void {
    if (this.#tries === 0) {
      this.#exchange.reply = undefined;
      // What is below tells the outer link itself.
      this.#downstream(this.#exchange, now).then(this.#own?.resolve, this.#own?.reject);
    } else if (wasInside) {
      const { clock } = this.#context;
      this.#inner?.then(
        () => this.#succeed(clock.monotonic()),
        (from) => this.#fail(from, clock.monotonic()),
      );
    } else if (this.#foreign) this.#fail(this.#foreign.error, now);
    else this.#succeed(now);
  }
}

/** A plugin that forgets to await must not turn an error from below into an unhandled rejection. */
function seenTo(turn: Promise<void>): Promise<void> {
  turn.catch(() => undefined);
  return turn;
}
