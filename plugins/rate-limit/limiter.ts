import { Bag, Clock, Ids, type Scripts, type Timer, token } from "headgate";
import { type Admission, type Claim, LocalCounters, type Refusal } from "./counters.ts";
import { type Correction, LEASE_MS, SharedCounters } from "./shared-counters.ts";

const BEAT_MS = 5_000;
/** How long fewer instances must have been seen before they are taken to be fewer, in ms: a Redis that begins anew knows none. */
const FEWER_MS = 60_000;

/** A call that was let in, with what it was counted as. */
export interface Held {
  readonly call: string;
  readonly claims: readonly Claim[];
  readonly slots: readonly number[];
  /** Its slots in Redis, where that had it counted. */
  readonly shared: readonly number[] | undefined;
  /** Whether Redis may hold places of it. */
  inRedis: boolean;
  /** Its place among those in flight; -1 where no limit counts it as such. */
  place: number;
}

/** `mode`: who decided. */
export type Decision = { readonly mode: "redis" | "local" } & (Refusal | (Pick<Admission, "kind" | "standings"> & { readonly held: Held }));

interface LimiterServices {
  readonly clock: Clock;
  readonly ids: Ids;
}

/**
 * Decides about the calls of one gateway: in Redis, where that is configured and there, else in this process at its share.
 * What Redis lets in is counted here as well, so that a Redis which lost its memory cannot have more let in here than
 * the limit.
 */
class Limiter {
  readonly #clock: Clock;
  readonly #local: LocalCounters;
  readonly #shared: SharedCounters;
  readonly #name: string;
  /** Those that a limit counts as in flight. */
  readonly #held = new Bag<Held>();
  /** Those of the chains that use it; the newest counts. */
  readonly #scripts: Scripts[] = [];
  #calls = 0;
  #instances = 1;
  #fewerSince: number | undefined;
  #registered = false;
  #beating = false;
  #timer: Timer | undefined;
  /** When Redis was last found to have lost its memory of us. */
  #forgottenAt = Number.NEGATIVE_INFINITY;

  constructor({ clock, ids }: LimiterServices) {
    this.#clock = clock;
    this.#name = ids.next("lim");
    this.#local = new LocalCounters(() => clock.monotonic());
    this.#shared = new SharedCounters(this.#name, clock, () => this.#scripts.at(-1));
  }

  /** Calls that a limit counts as in flight. */
  get inFlight(): number {
    return this.#held.size;
  }

  /** Whether Redis is configured, and not there. */
  get isAlone(): boolean {
    return this.#shared.configured && !this.#shared.healthy();
  }

  get isShared(): boolean {
    return this.#shared.configured;
  }

  /** `instances`: how many share the limits, until Redis tells. */
  start(scripts: Scripts, instances: number): void {
    this.#scripts.push(scripts);
    if (!this.#registered) this.#instances = instances;
    this.#timer ??= this.#clock.interval(BEAT_MS, () => void this.#beat());
    void this.#beat();
  }

  stop(scripts: Scripts): void {
    this.#shared.flush();
    const at = this.#scripts.indexOf(scripts);
    if (at >= 0) this.#scripts.splice(at, 1);
    if (this.#scripts.length > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Decides at once where Redis need not be asked. */
  decide(claims: readonly Claim[]): Decision | Promise<Decision> {
    if (!this.#shared.healthy()) return this.#alone(claims, this.#nextCall(), false);
    // What is full here is full everywhere.
    const refusal = this.#local.refusal(claims, this.#allowed);
    return refusal ? { mode: "redis", ...refusal } : this.#together(claims, this.#nextCall());
  }

  /** Gives back the places of a call that has ended, and puts right how many tokens it took. */
  settle(held: Held, tokens: number): void {
    this.#end(held, ({ unit, cost }) => (unit === "tokens" ? tokens - cost : 0));
  }

  /** As if the call had never been let in. */
  undo(held: Held): void {
    this.#end(held, ({ cost }) => -cost);
  }

  #alone(claims: readonly Claim[], call: string, inRedis: boolean): Decision {
    const verdict = this.#local.take(claims, this.#share);
    if (verdict.kind === "refused") return { mode: "local", ...verdict };
    const { standings, slots } = verdict;
    return { mode: "local", kind: "admitted", standings, held: this.#hold({ call, claims, slots, shared: undefined, inRedis, place: -1 }) };
  }

  async #together(claims: readonly Claim[], call: string): Promise<Decision> {
    const answer = await this.#shared.take(call, claims);
    if (!answer) {
      // Late is not never: Redis may count the call yet, and then keeps a place for it.
      const decision = this.#alone(claims, call, true);
      if (decision.kind === "refused") this.#release(call, claims);
      return decision;
    }
    if (!answer.known) this.#forgotten();
    const { verdict } = answer;
    if (verdict.kind === "refused") return { mode: "redis", ...verdict };
    const own = this.#local.take(claims, this.#allowed);
    if (own.kind === "refused") {
      this.#shared.settle(claims.map(({ key, cost }, at) => ({ key, call, slot: verdict.slots[at] as number, by: -cost })));
      return { mode: "redis", ...own };
    }
    const held = this.#hold({ call, claims, slots: own.slots, shared: verdict.slots, inRedis: true, place: -1 });
    return { mode: "redis", kind: "admitted", standings: verdict.standings, held };
  }

  #hold(held: Held): Held {
    if (held.claims.some(({ windowMs }) => windowMs === 0)) this.#held.add(held);
    return held;
  }

  #end(held: Held, change: (claim: Claim) => number): void {
    const { call, claims, slots, shared, inRedis } = held;
    this.#held.delete(held);
    const corrections: Correction[] = [];
    for (let at = 0; at < claims.length; at++) {
      const claim = claims[at] as Claim;
      const { key, windowMs } = claim;
      const by = change(claim);
      if (windowMs === 0) this.#local.release(key);
      else this.#local.correct(key, slots[at] as number, by);
      const slot = windowMs === 0 ? 0 : shared?.[at];
      if (inRedis && slot !== undefined && (slot === 0 || by !== 0)) corrections.push({ key, call, slot, by });
    }
    if (corrections.length > 0) this.#shared.settle(corrections);
  }

  #release(call: string, claims: readonly Claim[]): void {
    this.#shared.settle(claims.filter(({ windowMs }) => windowMs === 0).map(({ key }) => ({ key, call, slot: 0, by: 0 })));
  }

  /** This process's part of each limit while it counts alone. */
  readonly #share = () => (this.#shared.configured ? 1 / this.#instances : 1);

  /** Its part of a limit while Redis counts: all of it, except where Redis may have forgotten what others let in. */
  readonly #allowed = ({ windowMs }: Claim) =>
    this.#forgottenAt > Number.NEGATIVE_INFINITY && this.#clock.monotonic() - this.#forgottenAt <= (windowMs || LEASE_MS) * (1 + 1 / 16)
      ? 1 / this.#instances
      : 1;

  #forgotten(): void {
    if (!this.#registered) return;
    this.#forgottenAt = this.#clock.monotonic();
    void this.#beat();
  }

  /** Says that this instance lives, learns how many do, and prolongs the leases of its calls. */
  async #beat(): Promise<void> {
    if (this.#beating || !this.#shared.configured) return;
    this.#beating = true;
    const answer = await this.#shared.beat();
    this.#beating = false;
    if (!answer) return;
    if (answer.isNew && this.#registered) this.#forgottenAt = this.#clock.monotonic();
    this.#registered = true;
    this.#learn(answer.instances);
    this.#shared.flush();
    const places: { key: string; call: string }[] = [];
    for (const held of this.#held) {
      held.inRedis = true;
      for (const { key, windowMs } of held.claims) if (windowMs === 0) places.push({ key, call: held.call });
    }
    this.#shared.renew(places);
  }

  #learn(instances: number): void {
    const now = this.#clock.monotonic();
    if (instances >= this.#instances) this.#fewerSince = undefined;
    else this.#fewerSince ??= now;
    if (this.#fewerSince === undefined || now - this.#fewerSince >= FEWER_MS) {
      this.#instances = instances;
      this.#fewerSince = undefined;
    }
  }

  #nextCall(): string {
    this.#calls += 1;
    return `${this.#name}:${this.#calls}`;
  }
}

/** The one limiter of a gateway: what it has counted outlives a reload. */
export const GatewayLimiter = token("rate-limit.limiter", (scope) => new Limiter(scope.inject({ clock: Clock, ids: Ids })));
