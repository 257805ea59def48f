import { type Caller, Catalogue, Clock, definePlugin, type Exchange, GatewayError, Metrics, type Outcome, Scripts } from "headgate";
import { claimsOf, merged, type OwnLimits, ownLimits } from "./claims.ts";
import type { Claim } from "./counters.ts";
import { Estimator, tokensOf } from "./estimate.ts";
import { setRateHeaders } from "./headers.ts";
import { type Limit, showLimit } from "./limit-text.ts";
import { type Decision, GatewayLimiter, type Held } from "./limiter.ts";
import { RateLimitOptions } from "./options.ts";

/**
 * Holds callers to their rates. All limits that apply to a call are decided in one step, in Redis where it is configured,
 * else in this process; while Redis is away, in this process at its share.
 */
export const rateLimit = definePlugin({
  name: "rate-limit",
  options: RateLimitOptions,
  inject: { catalogue: Catalogue, clock: Clock, limiter: GatewayLimiter, metrics: Metrics, scripts: Scripts },
  after: ["metrics", "auth", "usage"],
  before: ["idempotency", "quota", "semantic-cache", "complexity-router", "condenser", "failover"],
  setup(options, { catalogue, clock, limiter, metrics, scripts }) {
    const estimator = new Estimator(catalogue);
    const forAll = merged(options.limits);
    const byPlan = new Map(Object.entries(options.plans).map(([plan, own]) => [plan, merged([...options.limits, ...own])]));
    const refused = metrics.counter("headgate_rate_limited_total", { help: "Calls over a limit.", labels: ["unit", "per"] });
    const closers = [
      metrics.gauge("headgate_rate_limit_in_flight", { help: "Calls that a limit counts as in flight." }, () => limiter.inFlight),
      metrics.gauge("headgate_rate_limit_local", { help: "1 while limits are counted in this process alone." }, () =>
        limiter.isShared && !limiter.isAlone ? 0 : 1,
      ),
    ];

    const estimate = (exchange: Exchange) => estimator.of(exchange);

    const strangers = ownLimits(undefined, forAll);
    const ofCallers = new WeakMap<Caller, OwnLimits>();

    /** Auth hands the same object over for each call of a key. */
    function limitsOf(caller: Caller | undefined): OwnLimits {
      if (!caller) return strangers;
      let own = ofCallers.get(caller);
      if (!own) {
        own = ownLimits(caller, byPlan.get(caller.plan) ?? forAll);
        ofCallers.set(caller, own);
      }
      return own;
    }

    function known(model: string): boolean {
      if (catalogue.aliases().includes(model)) return true;
      const slash = model.indexOf("/");
      return slash > 0 && catalogue.find({ provider: model.slice(0, slash), model: model.slice(slash + 1) }) !== undefined;
    }

    function refuseTooLarge(limits: readonly Limit[], claims: readonly Claim[]): void {
      const at = claims.findIndex(({ cost, amount }) => cost > amount);
      if (at < 0) return;
      const { unit, per } = limits[at] as Limit;
      refused.add(1, { unit, per });
      const need = (claims[at] as Claim).cost.toLocaleString("en");
      throw new GatewayError("rate_limited", {
        message: `This call may take about ${need} tokens, more than the limit of ${showLimit(limits[at] as Limit)} ever allows. Send less, or ask for less output.`,
        retry: false,
      });
    }

    /** Tells the caller how it stands, and refuses what has no room. */
    function answer(exchange: Exchange, limits: readonly Limit[], decision: Decision): Held {
      if (limiter.isShared) exchange.headers.set("x-headgate-ratelimit-mode", decision.mode);
      const now = clock.now().getTime();
      if (decision.kind === "refused") {
        const limit = limits[decision.at] as Limit;
        const { standing, retryMs } = decision;
        refused.add(1, { unit: limit.unit, per: limit.per });
        const told = new Map<string, string>();
        setRateHeaders(told, exchange.dialect, [limit], [standing], now);
        throw new GatewayError("rate_limited", {
          message: `Over the limit of ${showLimit(limit)}. Try again in ${Math.max(1, Math.ceil(retryMs / 1000))} s.`,
          retryAfter: retryMs / 1000,
          headers: Object.fromEntries(told),
        });
      }
      setRateHeaders(exchange.headers, exchange.dialect, limits, decision.standings, now);
      return decision.held;
    }

    /** What it returns takes what was let in, to be settled when the call has ended, and at once when it had ended before. */
    function settleAtEnd(exchange: Exchange) {
      let held: Held | undefined;
      let ended = false;
      exchange.onSettled((outcome: Outcome) => {
        ended = true;
        estimator.learn(exchange);
        if (held) limiter.settle(held, tokensOf(outcome));
      });
      return (taken: Held) => {
        held = taken;
        if (!ended) return;
        limiter.undo(taken);
        throw exchange.signal.reason;
      };
    }

    return {
      start: () => limiter.start(scripts, options.instances),
      stop() {
        limiter.stop(scripts);
        for (const close of closers) close();
      },
      health: () => (limiter.isAlone ? { status: "degraded", detail: "counting in this process alone" } : { status: "ok" }),
      handle(exchange, next) {
        if (exchange.operation === "models") return next();
        const own = limitsOf(exchange.caller);
        const { limits } = own;
        if (limits.length === 0) return next();
        const claims = claimsOf(exchange, own, estimate, known);
        refuseTooLarge(limits, claims);
        const hold = settleAtEnd(exchange);
        const decision = limiter.decide(claims);
        if (decision instanceof Promise) {
          return decision.then((made) => {
            hold(answer(exchange, limits, made));
            return next();
          });
        }
        hold(answer(exchange, limits, decision));
        return next();
      },
    };
  },
});
