import {
  type ApiRoute,
  apiRoute,
  type Clock,
  type Database,
  type Directory,
  GatewayError,
  type Ids,
  page,
  pageOf,
  pageQuery,
} from "headgate";
import { z } from "zod";
import { accountsOf, additionalId } from "./accounts.ts";
import { bookedOf } from "./books.ts";
import type { Keeper } from "./keeper.ts";
import { type Limit, NANO, parseLimit, showAmount, type Unit } from "./limit-text.ts";
import type { QuotaOptions } from "./options.ts";
import { overrideKey } from "./overrides.ts";
import type { Tables } from "./tables.ts";
import type { Calendar } from "./windows.ts";

export interface RouteParts {
  readonly db: Database;
  readonly options: QuotaOptions;
  readonly calendar: Calendar;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly keeper: Keeper;
  readonly directory: Directory;
}

const amount = (what: string) => z.number().describe(`${what}; tokens and calls as they are, money in dollars`);
const Standing = z.strictObject({
  rule: z.string(),
  unit: z.enum(["tokens", "money", "requests"]),
  window: z.enum(["day", "week", "month", "once"]),
  used: amount("Booked"),
  reserved: amount("On lease to instances: set aside for calls under way, or ready to be"),
  limit: amount("The limit that applies"),
  additional: amount("Bought on top and left"),
  resets_at: z.string().nullable(),
});
const Standings = z.strictObject({ user: z.string(), plan: z.string(), limits: z.array(Standing) });
const Transaction = z.strictObject({
  id: z.string(),
  user: z.string(),
  unit: z.enum(["tokens", "money"]),
  amount: amount("Bought, or taken back when below zero"),
  reference: z.string(),
  note: z.string().nullable(),
  by: z.string(),
  balance: amount("What was on top afterwards"),
  created_at: z.string(),
});
const LimitChange = z.strictObject({
  limit: z.string().max(100).describe('Such as "200000 tokens/month"; replaces the plan\'s of the same unit and window'),
  remove: z.boolean().optional().describe("Goes back to the plan's"),
});
const TopUp = z.strictObject({
  unit: z.enum(["tokens", "money"]),
  amount: z
    .number()
    .refine((value) => value !== 0, "not 0")
    .describe("Tokens, or dollars; below zero takes back what is left"),
  reference: z.string().min(1).max(200).describe("Of the payment; a second one with the same is not booked again"),
  note: z.string().max(500).optional(),
});

type Standing = z.output<typeof Standing>;

/** The quota's part of the control plane. */
export function quotaRoutes({ db, options, calendar, clock, ids, keeper, directory }: RouteParts): ApiRoute[] {
  const now = () => clock.now().getTime();

  async function planOf(user: string): Promise<string> {
    const found = await directory.user(user);
    if (!found) throw new GatewayError("not_found", { message: "There is no such user." });
    return found.plan;
  }

  async function standings(user: string, plan: string): Promise<z.output<typeof Standings>> {
    const caller = { user, key: null, team: null, plan, segment: "", role: "user" as const, name: "" };
    const specs = accountsOf(caller, { ...options, everyone: [] }, calendar, now());
    const tables = db.tables<Tables>();
    const wanted = specs.flatMap((spec) => [spec.id, additionalId(spec)]);
    const rows = wanted.length > 0 ? await tables.selectFrom("quota_accounts").selectAll().where("id", "in", wanted).execute() : [];
    const byId = new Map(rows.map((row) => [row.id, bookedOf(row, 0)]));
    const overrides = await tables
      .selectFrom("quota_overrides")
      .selectAll()
      .where("kind", "=", "user")
      .where("subject", "=", user)
      .execute();
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

  /** The plan's limit that a change replaces, and whether the change stays within its bounds. */
  function checkBounds({ unit, window, amount: wanted }: Limit, plan: string): void {
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

  return [
    apiRoute({
      method: "GET",
      path: "/api/plans",
      access: "user",
      summary: "The plans of this gateway, and what each allows",
      command: "limits plans",
      reply: z.strictObject({ plans: z.record(z.string(), z.array(z.string())) }),
      handle: () => ({
        body: { plans: Object.fromEntries(Object.entries(options.plans).map(([plan, limits]) => [plan, limits.map(textOf)])) },
      }),
    }),
    apiRoute({
      method: "GET",
      path: "/api/me/quota",
      access: "user",
      summary: "What you may use, and have used",
      reply: Standings,
      async handle({ caller }) {
        if (!caller?.user) throw new GatewayError("not_found", { message: "This key belongs to no user." });
        return { body: await standings(caller.user, caller.plan) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/users/:id/quota",
      access: "viewer",
      summary: "What a user may use, and has used",
      command: "limits show",
      reply: Standings,
      handle: async ({ params: { id = "" } }) => ({ body: await standings(id, await planOf(id)) }),
    }),
    apiRoute({
      method: "PATCH",
      path: "/api/users/:id/limits",
      access: "manager",
      summary: "Give a user a limit of their own, within the bounds that the config sets",
      command: "limits set",
      body: LimitChange,
      reply: Standings,
      async handle({ params: { id = "" }, body }) {
        const plan = await planOf(id);
        const limit = parseLimit(body.limit);
        if (!limit)
          throw new GatewayError("invalid_request", { param: "limit", message: 'Expected a limit such as "200000 tokens/month".' });
        const row = { kind: "user", subject: id, unit: limit.unit, window: limit.window, amount: limit.amount };
        const tables = db.tables<Tables>();
        if (body.remove) {
          const { kind, subject, unit, window } = row;
          const ours = tables.deleteFrom("quota_overrides").where("kind", "=", kind).where("subject", "=", subject);
          await ours.where("unit", "=", unit).where("window", "=", window).execute();
        } else {
          checkBounds(limit, plan);
          await tables
            .insertInto("quota_overrides")
            .values(row)
            .onConflict((conflict) => conflict.columns(["kind", "subject", "unit", "window"]).doUpdateSet({ amount: row.amount }))
            .execute();
        }
        await keeper.changed();
        return { body: await standings(id, plan) };
      },
    }),
    apiRoute({
      method: "POST",
      path: "/api/users/:id/transactions",
      access: "admin",
      summary: "Book what a user has bought on top; it survives the end of the window",
      command: "limits top-up",
      body: TopUp,
      reply: Transaction,
      async handle({ params: { id = "" }, body, caller }) {
        await planOf(id);
        const bought = stored(body.unit, body.amount);
        const by = caller?.name ?? "local";
        const booked = await db.transaction<Tables, Tables["quota_transactions"]>(async (books) => {
          const known = await books.selectFrom("quota_transactions").selectAll().where("reference", "=", body.reference).executeTakeFirst();
          if (known) return known;
          const account = { kind: "user" as const, subject: id, unit: body.unit as Unit };
          const accountId = additionalId(account);
          await books
            .insertInto("quota_accounts")
            .values({
              ...account,
              id: accountId,
              window: "additional",
              window_start: 0,
              window_end: null,
              rule: "additional",
              limit_amount: 0,
              used: 0,
              held: 0,
            })
            .onConflict((conflict) => conflict.column("id").doNothing())
            .execute();
          const changed = await books
            .updateTable("quota_accounts")
            .set((row) => ({ limit_amount: row("limit_amount", "+", bought) }))
            .where("id", "=", accountId)
            // Only what is neither used nor on lease can be taken back.
            .where((row) => row(row("limit_amount", "+", bought), ">=", row("used", "+", row.ref("held"))))
            .returning(["limit_amount", "used"])
            .executeTakeFirst();
          if (!changed) throw new GatewayError("conflict", { param: "amount", message: "So much is not left to be taken back." });
          const row = {
            id: ids.next("txn"),
            ...account,
            amount: bought,
            reference: body.reference,
            note: body.note ?? null,
            made_by: by,
            balance_after: changed.limit_amount - changed.used,
            created_at: now(),
          };
          await books.insertInto("quota_transactions").values(row).execute();
          return row;
        });
        if (booked.subject !== id || booked.amount !== bought || booked.unit !== body.unit) {
          throw new GatewayError("conflict", { param: "reference", message: "This reference stands for another transaction." });
        }
        await keeper.changed();
        return { status: 201, body: transactionOf(booked) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/transactions",
      access: "manager",
      summary: "What was bought on top, newest first",
      command: "limits transactions",
      query: pageQuery().extend({ user: z.string().max(200).optional() }),
      reply: pageOf(Transaction),
      handle: async ({ query: { user, ...query } }) => {
        const all = db.tables<Tables>().selectFrom("quota_transactions").selectAll();
        return { body: await page(user === undefined ? all : all.where("subject", "=", user), query, transactionOf) };
      },
    }),
  ];
}

function shown(unit: string, value: number): number {
  return unit === "money" ? value / NANO : value;
}

function stored(unit: string, value: number): number {
  const whole = unit === "money" ? Math.round(value * NANO) : value;
  if (Number.isSafeInteger(whole)) return whole;
  throw new GatewayError("invalid_request", { param: "amount", message: "Expected a whole number of tokens, or dollars." });
}

function textOf({ unit, amount: value, window }: Limit): string {
  return `${showAmount(unit, value)}${window === "once" ? " once" : `/${window}`}`;
}

function transactionOf(row: Tables["quota_transactions"]): z.output<typeof Transaction> {
  const { id, subject, unit, reference, note } = row;
  return {
    id,
    user: subject,
    unit: unit as "tokens" | "money",
    amount: shown(unit, row.amount),
    reference,
    note,
    by: row.made_by,
    balance: shown(unit, row.balance_after),
    created_at: new Date(row.created_at).toISOString(),
  };
}
