import { type ApiRoute, apiRoute, type Database, page } from "headgate";
import { type SqlBool, sql } from "kysely";
import { ORDER, shownEntry, TrailPage, TrailQuery, VerdictShape } from "./shapes.ts";
import type { AuditTables } from "./tables.ts";
import type { Trail } from "./trail.ts";

export function auditRoutes(db: Database, trail: Trail): ApiRoute[] {
  return [
    apiRoute({
      method: "GET",
      path: "/api/audit",
      access: "manager",
      summary: "Who did what to what, and what was refused, newest first",
      command: "audit list",
      query: TrailQuery,
      reply: TrailPage,
      async handle({ query }) {
        const { actor, action, since, until } = query;
        let rows = db
          .reports<AuditTables>()
          .selectFrom("audit_log")
          .selectAll()
          .select((eb) =>
            eb.selectFrom("audit_details").select("details").whereRef("audit_details.seq", "=", "audit_log.seq").as("details"),
          );
        if (actor !== undefined) rows = rows.where(({ eb, or }) => or([eb("actor_user", "=", actor), eb("actor_key", "=", actor)]));
        if (action?.endsWith("*")) {
          const beginning = `${action.slice(0, -1).replace(/[%_!]/g, "!$&")}%`;
          rows = rows.where(sql<SqlBool>`action like ${beginning} escape '!'`);
        } else if (action !== undefined) rows = rows.where("action", "=", action);
        if (since !== undefined) rows = rows.where("at", ">=", since);
        if (until !== undefined) rows = rows.where("at", "<", until);
        return { body: await page(rows, query, shownEntry, ORDER) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/audit/verify",
      access: "admin",
      summary: "Check that no row of the audit trail was changed, removed or moved",
      command: "audit verify",
      reply: VerdictShape,
      handle: async ({ signal }) => ({ body: await trail.verify(signal) }),
    }),
  ];
}
