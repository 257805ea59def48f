import type { Socket } from "node:net";
import type { JsonObject } from "./dialects/canonical.ts";
import type { CanonicalRequest, Operation } from "./dialects/dialect.ts";
import type { GatewayError } from "./errors.ts";
import type { Attempt, Caller, Exchange, Note, Outcome, Reply, Target, Timing } from "./exchange.ts";

export interface ExchangeInit {
  readonly id: string;
  readonly operation: Operation;
  readonly dialect: string;
  readonly client: Exchange["client"];
  readonly startedAt: number;
  readonly wire: JsonObject;
  readonly request: CanonicalRequest;
}

/** What the chain is doing on behalf of an exchange right now; see `LinkRun` in chain.ts. */
export interface ActiveLink {
  readonly name: string;
  /** Ends the link's turn when it has worked longer than allowed; monotonic ms, as all times here. */
  checkTime(now: number): void;
  /** What it waits for, the rest of the chain, has been done. */
  landed(now: number): void;
  failed(error: unknown, now: number): void;
}

interface Callback {
  readonly plugin: string;
  readonly run: (outcome: Outcome) => void | Promise<void>;
}

/** The exchange with the levers that the core alone pulls: abort, settle, and the link that is at work. */
export class LiveExchange implements Exchange {
  readonly id: string;
  readonly operation: Operation;
  readonly dialect: string;
  readonly client: Exchange["client"];
  readonly startedAt: number;
  readonly wire: JsonObject;
  /** The canonical request before any plugin touched it. */
  readonly original: CanonicalRequest;
  readonly requestedModel: string;
  readonly attempts: Attempt[] = [];
  readonly headers = new Map<string, string>();
  readonly notes: Note[] = [];
  readonly timings: Timing[] = [];
  caller: Caller | undefined;
  request: CanonicalRequest;
  targets: readonly Target[] = [];
  /** Why `targets` is empty, when the model is not known. */
  unresolved: GatewayError | undefined;
  target: Target | undefined;
  reply: Reply | undefined;
  /** The link at work, for notes and the watchdog. */
  active: ActiveLink | undefined;
  /** Why the call was aborted, once it was. */
  aborted: GatewayError | undefined;
  /** The client's connection, once a stream is being written to it. */
  socket: Pick<Socket, "remoteAddress" | "remotePort" | "localPort"> | undefined;
  /** What the provider is still sending for the current attempt; ended before another attempt begins. */
  upstream: { destroy(): void } | undefined;
  /** Its place among the calls under way. */
  place = -1;
  /** True once any part of the usage had to be estimated. */
  estimated = false;

  #controller: AbortController | undefined;
  #onAbort: ((reason: GatewayError) => void)[] = [];
  readonly #callbacks: Callback[] = [];
  #settled = false;

  constructor(init: ExchangeInit) {
    this.id = init.id;
    this.operation = init.operation;
    this.dialect = init.dialect;
    this.client = init.client;
    this.startedAt = init.startedAt;
    this.wire = init.wire;
    this.original = init.request;
    this.request = init.request;
    this.requestedModel = init.request.model ?? "";
  }

  /** Made when first asked for: most calls never need one, and it is the dearest object here. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.aborted) this.#controller.abort(this.aborted);
    }
    return this.#controller.signal;
  }

  note(text: string): void {
    this.notes.push({ plugin: this.active?.name ?? "core", text });
  }

  onSettled(run: Callback["run"]): void {
    this.#callbacks.push({ plugin: this.active?.name ?? "core", run });
  }

  /** Runs `callback` when the call is aborted; returns how to take it back. */
  onAbort(callback: (reason: GatewayError) => void): () => void {
    if (this.aborted) callback(this.aborted);
    else this.#onAbort.push(callback);
    return () => {
      const at = this.#onAbort.indexOf(callback);
      if (at >= 0) this.#onAbort.splice(at, 1);
    };
  }

  /** Stops everything that is done for this call; the first reason stands. */
  abort(reason: GatewayError): void {
    if (this.aborted || this.#settled) return;
    this.aborted = reason;
    for (const callback of this.#onAbort.splice(0)) callback(reason);
    this.#controller?.abort(reason);
  }

  /** Tells everyone how the call ended, at once or after `time`. `onFault` hears of each callback that failed; the promise resolves when all are done. */
  async settle(outcome: Outcome, onFault: (plugin: string, error: unknown) => void, time?: Promise<void>): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    this.#onAbort = [];
    if (time) await time;
    const pending: Promise<void>[] = [];
    for (let index = this.#callbacks.length - 1; index >= 0; index--) {
      const { plugin, run } = this.#callbacks[index] as Callback;
      try {
        const result = run(outcome);
        if (result) pending.push(result.catch((error) => onFault(plugin, error)));
      } catch (error) {
        onFault(plugin, error);
      }
    }
    if (pending.length > 0) await Promise.all(pending);
  }
}
