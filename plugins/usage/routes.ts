import { type ApiRequest, type ApiRoute, apiRoute, type Clock, type Database, GatewayError, page, pageOf, pageQuery } from "headgate";
import { sql } from "kysely";
import { z } from "zod";
import type { Cell } from "./columns.ts";
import { startOfDay } from "./partitions.ts";
import { csv, DIMENSIONS, report, totals } from "./reports.ts";
import type { Tables } from "./tables.ts";

const MONTH_MS = 30 * 86_400_000;
const NANO = 1_000_000_000;

const moment = (what: string) =>
  z
    .string()
    .refine((text) => !Number.isNaN(Date.parse(text)), "not a date")
    .transform((text) => Date.parse(text))
    .meta({ title: "a date such as 2026-01-31, or a date and time", description: what });
const name = () => z.string().max(200).optional();

const Line = z.object({ name: z.string(), requests: z.number(), cost: z.number(), savings: z.number() }).loose();
const Between = z.strictObject({ since: moment("First day; 30 days ago by default").optional(), until: moment("Last day").optional() });
const ReportQuery = Between.extend({
  by: z.enum(DIMENSIONS).default("model"),
  user: name(),
  format: z.enum(["json", "csv"]).default("json"),
});
const Report = z.strictObject({ since: z.string(), until: z.string(), by: z.string(), data: z.array(Line) });
const Call = z.object({ id: z.string(), created_at: z.string(), cost: z.number().nullable() }).loose();
const CallQuery = pageQuery().extend({
  user: name(),
  key: name(),
  team: name(),
  model: name(),
  provider: name(),
  status: z.coerce.number().int().optional(),
  since: moment("From then on").optional(),
  until: moment("Before then").optional(),
});

/** The ledger's part of the control plane. Days are UTC, costs dollars. */
export function usageRoutes({ db, clock }: { readonly db: Database; readonly clock: Clock }): ApiRoute[] {
  const range = ({ since, until }: z.output<typeof Between>) => {
    const now = clock.now().getTime();
    return { since: startOfDay(since ?? now - MONTH_MS), until: startOfDay(until ?? now) };
  };
  const days = ({ since, until }: { since: number; until: number }) => ({ since: dayOf(since), until: dayOf(until) });

  function ownUser({ caller }: Pick<ApiRequest, "caller">): string {
    if (caller?.user) return caller.user;
    throw new GatewayError("not_found", { message: "This key belongs to no user." });
  }

  async function answerReport({ by, user, format, ...between }: z.output<typeof ReportQuery>) {
    const span = range(between);
    const lines = await report(db, by, { ...span, user });
    if (format === "csv") {
      return {
        body: csv(lines),
        type: "text/csv; charset=utf-8",
        headers: { "content-disposition": `attachment; filename="usage-by-${by}.csv"` },
      };
    }
    return { body: { ...days(span), by, data: lines } };
  }

  return [
    apiRoute({
      method: "GET",
      path: "/api/usage/report",
      access: "viewer",
      summary: "What was used and what it cost, by model, provider, user, key, team or day",
      command: "usage report",
      query: ReportQuery,
      reply: Report,
      handle: ({ query }) => answerReport(query),
    }),
    apiRoute({
      method: "GET",
      path: "/api/usage/totals",
      access: "viewer",
      summary: "All of it in one line",
      command: "usage totals",
      query: Between,
      reply: z.object({ since: z.string(), until: z.string(), requests: z.number() }).loose(),
      async handle({ query }) {
        const span = range(query);
        return { body: { ...days(span), ...(await totals(db, span)) } };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/usage",
      access: "viewer",
      summary: "Single calls, newest first",
      command: "usage list",
      query: CallQuery,
      reply: pageOf(Call),
      handle: async ({ query: { limit, cursor, ...filter } }) => ({ body: await page(calls(db, filter), { limit, cursor }, shown) }),
    }),
    apiRoute({
      method: "GET",
      path: "/api/me/usage",
      access: "user",
      summary: "What you have used, by model or day",
      query: ReportQuery.omit({ user: true }),
      reply: Report,
      handle: async (request) => answerReport({ ...request.query, user: ownUser(request) }),
    }),
  ];
}

type CallFilter = Omit<z.output<typeof CallQuery>, "limit" | "cursor">;

function calls(db: Database, { user, key, team, model, provider, status, since, until }: CallFilter) {
  let query = db.reports<Tables>().selectFrom("usage_exchanges").selectAll();
  if (user !== undefined) query = query.where("user_id", "=", user);
  if (key !== undefined) query = query.where("key_id", "=", key);
  if (team !== undefined) query = query.where("team", "=", team);
  if (model !== undefined) query = query.where((row) => row.or([row("model", "=", model), row("requested_model", "=", model)]));
  if (provider !== undefined) query = query.where("provider", "=", provider);
  if (status !== undefined) query = query.where("status", "=", status);
  // Said once more as the partial index has it, which is used for nothing less.
  if (status !== undefined && status >= 400) query = query.where(sql<boolean>`status >= 400`);
  if (since !== undefined) query = query.where("created_at", ">=", since);
  if (until !== undefined) query = query.where("created_at", "<", until);
  return query;
}

function shown({ created_at, cost, list_cost, complexity, ...row }: Readonly<Record<string, Cell>>) {
  const dollars = (nano: unknown) => (typeof nano === "number" ? nano / NANO : null);
  return {
    ...row,
    created_at: new Date(created_at as number).toISOString(),
    cost: dollars(cost),
    list_cost: dollars(list_cost),
    complexity: typeof complexity === "number" ? complexity / 1000 : null,
  };
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
