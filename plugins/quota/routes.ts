import {
  type ApiRoute,
  apiRoute,
  type Clock,
  checkRank,
  type Database,
  type Directory,
  type DirectoryUser,
  GatewayError,
  type Ids,
  page,
  pageOf,
  pageQuery,
} from "headgate";
import { z } from "zod";
import type { Keeper } from "./keeper.ts";
import { parseLimit, type Unit } from "./limit-text.ts";
import type { QuotaOptions } from "./options.ts";
import { bookPurchase } from "./purchases.ts";
import { LimitChange, Standings, stored, TopUp, Transaction, textOf, transactionOf } from "./shapes.ts";
import { checkBounds, standingsOf } from "./standings.ts";
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

/** The quota's part of the control plane. */
export function quotaRoutes({ db, options, calendar, clock, ids, keeper, directory }: RouteParts): ApiRoute[] {
  const now = () => clock.now().getTime();

  async function known(id: string): Promise<DirectoryUser> {
    const user = await directory.user(id);
    if (!user) throw new GatewayError("not_found", { message: "There is no such user." });
    return user;
  }

  const standings = (user: string, plan: string) => standingsOf({ db, options, calendar, clock }, user, plan);

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
      handle: async ({ params: { id = "" } }) => ({ body: await standings(id, (await known(id)).plan) }),
    }),
    apiRoute({
      method: "PATCH",
      path: "/api/users/:id/limits",
      access: "manager",
      summary: "Give a user a limit of their own, within the bounds that the config sets",
      command: "limits set",
      body: LimitChange,
      reply: Standings,
      async handle({ params: { id = "" }, body, caller }) {
        const { plan, role } = await known(id);
        checkRank(caller, role);
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
          checkBounds(options, limit, plan);
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
        await known(id);
        const bought = stored(body.unit, body.amount);
        const purchase = {
          id: ids.next("txn"),
          ...{ kind: "user" as const, subject: id, unit: body.unit as Unit },
          amount: bought,
          reference: body.reference,
          note: body.note ?? null,
          made_by: caller?.name ?? "local",
          created_at: now(),
        };
        const booked = await bookPurchase(db, purchase);
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
