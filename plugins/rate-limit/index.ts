import { Catalogue, Clock, definePlugin, type Exchange, GatewayError, Ids, Metrics, Scripts, type Timer } from "headgate";
import { claimsOf, limitsOf, tokensOf } from "./claims.ts";
import { type Claim, LocalCounters, type Verdict } from "./counters.ts";
import { rateHeaders } from "./headers.ts";
import { type Limit, showLimit } from "./limit-text.ts";
import { RateLimitOptions } from "./options.ts";
import { IN_FLIGHT, SharedCounters } from "./shared-counters.ts";

const BEAT_MS = 5_000;
const ALIVE_MS = 20_000;

/** A call with what it was counted as. */
interface Taken {
  readonly call: string;
  readonly claims: readonly Claim[];
  readonly slots: readonly number[];
  readonly shared: boolean;
}

/**
 * Holds callers to their rates. All limits that apply to a call are decided in one step, in Redis where it is configured,
 * else in this process; while Redis is away, in this process at its share.
 */
export const rateLimit = definePlugin({
  name: "rate-limit",
  options: RateLimitOptions,
  inject: { catalogue: Catalogue, clock: Clock, ids: Ids, metrics: Metrics, scripts: Scripts },
  after: ["metrics", "auth", "usage"],
  before: ["idempotency", "quota", "semantic-cache", "complexity-router", "condenser", "failover"],
  setup(options, { catalogue, clock, ids, metrics, scripts }) {
    const local = new LocalCounters(() => clock.monotonic());
    const shared = scripts.shared ? new SharedCounters(scripts) : undefined;
    const instance = ids.next("lim");
    const held = new Map<string, Taken>();
    let instances = options.instances;
    let beating: Timer | undefined;
    const refused = metrics.counter("headgate_rate_limited_total", { help: "Calls over a limit.", labels: ["unit", "per"] });
    const closers = [
      metrics.gauge("headgate_rate_limit_in_flight", { help: "Calls that a limit counts as in flight." }, () => held.size),
      metrics.gauge("headgate_rate_limit_local", { help: "1 while limits are counted in this process alone." }, () =>
        shared && scripts.healthy() ? 0 : 1,
      ),
    ];

    function known(model: string): boolean {
      if (catalogue.aliases().includes(model)) return true;
      const slash = model.indexOf("/");
      return slash > 0 && catalogue.find({ provider: model.slice(0, slash), model: model.slice(slash + 1) }) !== undefined;
    }

    function decide(exchange: Exchange, limits: readonly Limit[], claims: readonly Claim[], verdict: Verdict, isShared: boolean): void {
      if (shared) exchange.headers.set("x-headgate-ratelimit-mode", isShared ? "redis" : "local");
      const now = clock.now().getTime();
      if (verdict.kind === "refused") {
        const limit = limits[verdict.at] as Limit;
        refused.add(1, { unit: limit.unit, per: limit.per });
        const shown = [{ limit, ...verdict.standing }];
        throw new GatewayError("rate_limited", {
          message: `Over the limit of ${showLimit(limit)}. Try again in ${Math.max(1, Math.ceil(verdict.retryMs / 1000))} s.`,
          retryAfter: verdict.retryMs / 1000,
          headers: Object.fromEntries(rateHeaders(exchange.dialect, shown, now)),
        });
      }
      const shown = limits.map((limit, at) => ({ limit, ...(verdict.standings[at] as { used: number; resetMs: number }) }));
      for (const [name, value] of rateHeaders(exchange.dialect, shown, now)) exchange.headers.set(name, value);
      settleAtEnd(exchange, { call: exchange.id, claims, slots: verdict.slots, shared: isShared });
    }

    /** Gives back what was not used, and the place of a call in flight. Requests stay counted. */
    function settleAtEnd(exchange: Exchange, taken: Taken): void {
      const { call, claims, slots } = taken;
      const open = claims.flatMap(({ key, cost, windowMs }, at) =>
        windowMs === 0 || key.startsWith("tokens:") ? [{ key, cost, inFlight: windowMs === 0, slot: slots[at] as number }] : [],
      );
      if (open.length === 0) return;
      if (open.some(({ inFlight }) => inFlight)) held.set(call, taken);
      exchange.onSettled((outcome) => {
        held.delete(call);
        const used = tokensOf(outcome);
        if (taken.shared) {
          shared?.settle(
            call,
            open.map(({ key, cost, inFlight, slot }) => ({ key, slot: inFlight ? IN_FLIGHT : slot, by: inFlight ? 0 : used - cost })),
          );
        } else for (const { key, cost, inFlight, slot } of open) inFlight ? local.release(key) : local.correct(key, slot, used - cost);
      });
    }

    async function decideTogether(
      exchange: Exchange,
      limits: readonly Limit[],
      claims: readonly Claim[],
      counters: SharedCounters,
    ): Promise<void> {
      const verdict = await counters.take(exchange.id, claims);
      if (exchange.signal.aborted) {
        // The call is over, and nobody would give its place back.
        if (verdict?.kind === "admitted")
          counters.settle(
            exchange.id,
            claims.map(({ key }) => ({ key, slot: IN_FLIGHT, by: 0 })),
          );
        throw exchange.signal.reason;
      }
      if (verdict) decide(exchange, limits, claims, verdict, true);
      else decide(exchange, limits, claims, local.take(claims, 1 / instances), false);
    }

    async function beat(counters: SharedCounters): Promise<void> {
      instances = (await counters.beat(instance, ALIVE_MS)) ?? instances;
      const calls = [...held.values()].filter((taken) => taken.shared);
      counters.renew(calls.flatMap(({ call, claims }) => claims.flatMap(({ key, windowMs }) => (windowMs === 0 ? [{ key, call }] : []))));
    }

    return {
      start() {
        if (!shared) return;
        beating = clock.interval(BEAT_MS, () => void beat(shared));
        void beat(shared);
      },
      stop() {
        beating?.cancel();
        for (const close of closers) close();
      },
      health: () => (shared && !scripts.healthy() ? { status: "degraded", detail: "counting in this process alone" } : { status: "ok" }),
      handle(exchange, next) {
        if (exchange.operation === "models") return next();
        const { limits, claims } = claimsOf(exchange, limitsOf(options, exchange.caller), known);
        if (claims.length === 0) return next();
        if (shared && scripts.healthy()) return decideTogether(exchange, limits, claims, shared).then(next);
        decide(exchange, limits, claims, local.take(claims, shared ? 1 / instances : 1), false);
        return next();
      },
    };
  },
});
