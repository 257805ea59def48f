import {
  type Caller,
  Catalogue,
  Clock,
  Database,
  Directory,
  definePlugin,
  type Exchange,
  GatewayError,
  Ids,
  Metrics,
  Tokens,
} from "headgate";
import { accountsOf } from "./accounts.ts";
import type { LedgerAccount } from "./books.ts";
import type { Need, Reservation } from "./budget.ts";
import { clamped } from "./clamp.ts";
import { Keeper } from "./keeper.ts";
import { Meter } from "./meter.ts";
import { QuotaOptions } from "./options.ts";
import { patiently } from "./patience.ts";
import { personalData } from "./personal-data.ts";
import { refusal } from "./refusal.ts";
import { quotaRoutes } from "./routes.ts";
import { Shared } from "./shared.ts";
import { migrations } from "./tables.ts";
import { UsualOutput } from "./usual-output.ts";
import { Calendar } from "./windows.ts";

/**
 * Holds callers to their budgets. What a call may need is set aside before it goes out, in one step for all limits that
 * apply; what it used is settled when it has ended, however it ended. Nearly always both happen in memory, out of slices
 * of the budgets that this instance holds on lease.
 */
export const quota = definePlugin({
  name: "quota",
  options: QuotaOptions,
  inject: {
    catalogue: Catalogue,
    clock: Clock,
    db: Database,
    directory: Directory,
    ids: Ids,
    metrics: Metrics,
    shared: Shared,
    tokens: Tokens,
  },
  after: ["metrics", "auth", "usage", "rate-limit", "idempotency"],
  before: ["semantic-cache", "complexity-router", "condenser", "failover"],
  setup(options, { catalogue, clock, db, directory, ids, metrics, shared, tokens }) {
    const calendar = new Calendar(options.timeZone);
    const refused = metrics.counter("headgate_quota_refusals_total", {
      help: "Calls that a quota did not cover.",
      labels: ["unit", "window"],
    });
    const { keeper, news } = shared;
    const meter = new Meter({ options, catalogue, tokens, usual: new UsualOutput(options.defaultOutput) });
    const place = ids.next("quo").slice(-4);
    let started = false;
    const known = new WeakMap<Caller, { readonly until: number; readonly accounts: readonly LedgerAccount[] }>();

    /** Auth hands the same object over for each call of a key, so that the limits that apply are found once a day. */
    function accounts(caller: Caller | undefined): readonly LedgerAccount[] {
      const now = clock.now().getTime();
      const found = caller && known.get(caller);
      if (found && now < found.until) return found.accounts;
      const specs = accountsOf(caller, options, calendar, now).map(Keeper.account);
      const until = Math.min(now + 86_400_000, ...specs.map(({ span }) => span.end ?? Number.POSITIVE_INFINITY));
      if (caller) known.set(caller, { until, accounts: specs });
      return specs;
    }

    /** A plugin that stands twice in a chain sets aside twice. */
    const idOf = ({ id }: Exchange) => `${id}:${place}`;

    function needsOf(exchange: Exchange, drawn: readonly LedgerAccount[], exact: boolean): Need<LedgerAccount>[] {
      const needs = meter.needs(exchange, drawn, exact);
      if (needs) return needs;
      const message = "This model has no known price, and what you may spend is limited; ask for another model.";
      throw new GatewayError("permission_denied", { param: "model", message });
    }

    /** Settles what `held` says when the call has ended, and at once when it had ended before anything was set aside. */
    function settleAtEnd(exchange: Exchange) {
      let ended = false;
      let held: Reservation<LedgerAccount> | undefined;
      exchange.onSettled((outcome) => {
        ended = true;
        if (!held) return;
        const { parts } = held;
        keeper.settle(
          held,
          meter.used(exchange, outcome, ({ id }) => {
            const part = parts.find(({ account }) => account.id === id);
            return part ? part.own + part.extra : 0;
          }),
        );
      });
      return (reservation: Reservation<LedgerAccount>) => {
        held = reservation;
        keeper.opened(reservation);
        if (ended) keeper.settle(reservation, () => 0);
      };
    }

    async function askForMore(
      exchange: Exchange,
      drawn: readonly LedgerAccount[],
      hold: (reservation: Reservation<LedgerAccount>) => void,
    ) {
      const needs = needsOf(exchange, drawn, true);
      const exact = keeper.tryReserve(idOf(exchange), needs);
      if (exact) return hold(exact);
      const waiting = keeper.reserve(idOf(exchange), needs);
      const verdict = await patiently(clock, () => keeper.heardAt, waiting.verdict).catch((cause: unknown) => {
        waiting.giveUp();
        return { kind: "unavailable" as const, cause };
      });
      if (verdict.kind === "reserved") return hold(verdict.reservation);
      if (verdict.kind === "unavailable") throw new GatewayError("dependency_unavailable", { cause: verdict.cause, retryAfter: 1 });
      const { account, need, balance } = verdict;
      const shorter = options.clampOutput ? clamped(exchange, account, need, balance, meter.output(exchange)) : undefined;
      if (shorter) {
        exchange.request = shorter;
        exchange.note("output shortened to what the quota leaves");
        return askForMore(exchange, drawn, hold);
      }
      refused.add(1, { unit: account.unit, window: account.window });
      news.blocked(account, need, balance);
      throw refusal(account, need, balance);
    }

    return {
      migrations,
      personalData: personalData(db),
      routes: quotaRoutes({ db, options, calendar, clock, ids, keeper, directory }),
      async start() {
        await keeper.start();
        started = true;
      },
      async stop() {
        if (started) await keeper.stop();
        started = false;
        news.stop();
      },
      handle(exchange, next) {
        if (exchange.operation !== "chat" && exchange.operation !== "embeddings") return next();
        const drawn = accounts(exchange.caller);
        if (drawn.length === 0) return next();
        const hold = settleAtEnd(exchange);
        const reservation = keeper.tryReserve(idOf(exchange), needsOf(exchange, drawn, false));
        if (!reservation) return askForMore(exchange, drawn, hold).then(next);
        hold(reservation);
        return next();
      },
    };
  },
});
