import { type Clock, type Database, GatewayError } from "headgate";
import type { z } from "zod";
import { accountsOf, additionalId } from "./accounts.ts";
import { bookedOf } from "./books.ts";
import { type Limit, showAmount } from "./limit-text.ts";
import type { QuotaOptions } from "./options.ts";
import { overrideKey } from "./overrides.ts";
import { type Standing, type Standings, shown } from "./shapes.ts";
import type { Tables } from "./tables.ts";
import type { Calendar } from "./windows.ts";

interface StandingParts {
  readonly db: Database;
  readonly options: QuotaOptions;
  readonly calendar: Calendar;
  readonly clock: Clock;
}

/** How a user stands with each limit of a plan, now. */
export async function standingsOf(
  { db, options, calendar, clock }: StandingParts,
  user: string,
  plan: string,
): Promise<z.output<typeof Standings>> {
  const caller = { user, key: null, team: null, plan, segment: "", role: "user" as const, name: "" };
  const specs = accountsOf(caller, { ...options, everyone: [] }, calendar, clock.now().getTime());
  const tables = db.tables<Tables>();
  const wanted = specs.flatMap((spec) => [spec.id, additionalId(spec)]);
  const rows = wanted.length > 0 ? await tables.selectFrom("quota_accounts").selectAll().where("id", "in", wanted).execute() : [];
  const byId = new Map(rows.map((row) => [row.id, bookedOf(row, 0)]));
  const overrides = await tables.selectFrom("quota_overrides").selectAll().where("kind", "=", "user").where("subject", "=", user).execute();
  const own = new Map(overrides.map((row) => [overrideKey(row), row.amount]));
  const limits = specs.map((spec): Standing => {
    const show = (value: number) => shown(spec.unit, value);
    const booked = byId.get(spec.id);
    const extra = byId.get(additionalId(spec));
    return {
      rule: spec.rule,
      unit: spec.unit,
      window: spec.window,
      used: show(booked?.used ?? 0),
      reserved: show(booked?.held ?? 0),
      limit: show(own.get(overrideKey(spec)) ?? spec.limit),
      additional: show(extra ? extra.limit - extra.used : 0),
      resets_at: spec.span.end === null ? null : new Date(spec.span.end).toISOString(),
    };
  });
  return { user, plan, limits };
}

/** Throws when a user of the plan may not have this limit. */
export function checkBounds(options: QuotaOptions, { unit, window, amount: wanted }: Limit, plan: string): void {
  const planned = (options.plans[plan] ?? options.plans.default ?? []).find((limit) => limit.unit === unit && limit.window === window);
  if (!planned) {
    throw new GatewayError("invalid_request", {
      param: "limit",
      message: `The plan "${plan}" has no limit in ${unit} per ${window} that could be changed.`,
    });
  }
  const [least, most] = [planned.amount * options.overrides.min, planned.amount * options.overrides.max];
  if (wanted >= least && wanted <= most) return;
  const message = `A limit of this user has to be between ${showAmount(unit, least)} and ${showAmount(unit, most)}.`;
  throw new GatewayError("invalid_request", { param: "limit", message });
}
