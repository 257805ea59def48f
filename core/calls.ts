import { Bag } from "./bag.ts";
import type { Fault } from "./chain.ts";
import { GatewayError } from "./errors.ts";
import type { Outcome } from "./exchange.ts";
import { connectionKey, vanishedPeers } from "./http/half-open.ts";
import type { LiveExchange } from "./live-exchange.ts";
import type { Clock, Timer } from "./services/clock.ts";
import type { Events } from "./services/events.ts";
import type { Logger } from "./services/logger.ts";
import type { Counter, Metrics } from "./services/metrics.ts";

export interface CallsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: Events;
  readonly metrics: Metrics;
  /** Longest a whole call may take, in ms. */
  readonly callMs: number;
}

/** How often deadlines of calls and plugins are looked at, in ms. */
const WATCH_MS = 250;
/** How often vanished clients are looked for, in ms. */
const SWEEP_MS = 10_000;

/** The calls of one generation: those under way, their deadlines, and what is told and logged when one ends. */
export class Calls {
  readonly #options: CallsOptions;
  readonly #rejections: Counter;
  readonly #live = new Bag<LiveExchange>();
  #settling = 0;
  readonly #whenIdle: (() => void)[] = [];
  #arriving = 0;
  #timers: Timer[] = [];

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#rejections = options.metrics.counter("headgate_rejections_total", {
      help: "Requests turned away before they entered the chain.",
      labels: ["code"],
    });
  }

  start(): void {
    const { clock } = this.#options;
    this.#timers = [clock.interval(WATCH_MS, () => this.#watch()), clock.interval(SWEEP_MS, () => void this.#sweep())];
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel();
  }

  /** Counts a request as under way until `received`, which begins its call or refuses it. */
  async arriving<T>(received: Promise<T>): Promise<T> {
    this.#arriving += 1;
    try {
      return await received;
    } finally {
      this.#arriving -= 1;
      this.#checkIdle();
    }
  }

  begin(exchange: LiveExchange): void {
    this.#live.add(exchange);
  }

  /** Counts and logs a request that was turned away before it became a call. */
  rejected(error: GatewayError, id: string): void {
    const { logger } = this.#options;
    this.#rejections.add(1, { code: error.code });
    logger.info({ id, code: error.code, status: error.status }, "rejected");
    if (error.status >= 500) logger.error({ err: error, id }, "a request failed outside the chain");
  }

  /** Notes, logs and tells what a plugin did wrong in the chain. */
  faulted(exchange: LiveExchange, fault: Fault): void {
    const { plugin, phase, failMode, error } = fault;
    exchange.notes.push({ plugin, text: `failed ${failMode} (${phase}): ${error instanceof Error ? error.message : String(error)}` });
    this.#options.logger.error({ err: error, plugin, phase, failMode, id: exchange.id }, "a plugin failed");
    this.#options.events.emit("plugin.failed", fault);
  }

  /**
   * Closes the books on one call: callbacks, then its log line. The calls that end in one turn do so together, so that each
   * finds the code for it in the processor's caches, where the one before has brought it.
   */
  async settle(exchange: LiveExchange, outcome: Outcome): Promise<void> {
    const { clock, logger, events } = this.#options;
    this.#settling += 1;
    this.#live.delete(exchange);
    const onFault = (plugin: string, error: unknown) => {
      logger.error({ err: error, plugin, phase: "settled", id: exchange.id }, "a plugin failed after the end of a call");
      events.emit("plugin.failed", { plugin, phase: "settled", failMode: "open", error });
    };
    await exchange.settle(outcome, onFault, clock.turn());
    if (outcome.error?.code === "internal_error") logger.error({ err: outcome.error, id: exchange.id }, "a call failed in the gateway");
    this.#log(exchange, outcome);
    this.#settling -= 1;
    this.#checkIdle();
  }

  /** Resolves when no request is arriving, no call is under way and all have settled. */
  idle(): Promise<void> {
    if (this.#quiet()) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Ends every call under way with an error that its client sees. */
  abortAll(): void {
    for (const exchange of [...this.#live]) exchange.abort(new GatewayError("shutting_down"));
  }

  #quiet(): boolean {
    return this.#arriving === 0 && this.#live.size === 0 && this.#settling === 0;
  }

  #checkIdle(): void {
    if (this.#quiet()) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #watch(): void {
    const { clock, callMs } = this.#options;
    const now = clock.monotonic();
    for (const exchange of [...this.#live]) {
      if (now - exchange.startedAt > callMs) exchange.abort(new GatewayError("deadline_exceeded"));
      else exchange.active?.checkTime(now);
    }
  }

  /** Ends the streams of clients that vanished without a word. */
  async #sweep(): Promise<void> {
    const streaming = [...this.#live].filter((exchange) => exchange.socket);
    const gone = streaming.length > 0 ? await vanishedPeers() : undefined;
    if (!gone?.size) return;
    for (const exchange of streaming) {
      if (exchange.socket && gone.has(connectionKey(exchange.socket))) exchange.abort(new GatewayError("client_closed"));
    }
  }

  #log(exchange: LiveExchange, outcome: Outcome): void {
    const { clock, logger } = this.#options;
    if (!logger.enabled("info")) return;
    const { target, requestedModel, attempts } = exchange;
    const line: Record<string, unknown> = {
      id: exchange.id,
      operation: exchange.operation,
      dialect: exchange.dialect,
      model: requestedModel.slice(0, 200),
      target: target && `${target.provider}/${target.model}`,
      status: outcome.status,
      outcome: outcome.kind,
      ms: Math.round(clock.monotonic() - exchange.startedAt),
      attempts: attempts.length,
      inputTokens: outcome.usage?.inputTokens,
      outputTokens: outcome.usage?.outputTokens,
      code: outcome.error?.code,
      plugin: outcome.error?.plugin,
    };
    if (logger.enabled("debug")) {
      line.notes = exchange.notes.map(({ plugin, text }) => `${plugin}: ${text}`);
      if (outcome.error) line.err = outcome.error;
    }
    logger.info(line, "request");
  }
}
