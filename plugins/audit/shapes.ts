import { pageOf, pageQuery } from "headgate";
import { z } from "zod";
import type { Link } from "./chain.ts";

export const ORDER = { seq: "integer" } as const;

const moment = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .meta({ title: "a date and time such as 2026-01-31T12:00:00Z" });

export const TrailQuery = pageQuery(ORDER).extend({
  actor: z.string().max(200).optional().describe("Id of a user or a key."),
  action: z.string().max(200).optional().describe("`POST /api/keys`, `refused:invalid_api_key`; or its beginning with a `*`: `refused:*`."),
  since: moment.optional(),
  until: moment.optional(),
});

const EntryShape = z.strictObject({
  seq: z.int(),
  id: z.string(),
  at: z.iso.datetime(),
  actor: z.strictObject({ user: z.string().nullable(), key: z.string().nullable(), role: z.string().nullable() }),
  action: z.string(),
  target: z.record(z.string(), z.string()),
  status: z.int(),
  count: z.int(),
  details: z.record(z.string(), z.unknown()).nullable().describe("Name, address and input; null once erased."),
  hash: z.string(),
});
export type ShownEntry = z.output<typeof EntryShape>;

export const TrailPage = pageOf(EntryShape);

export const VerdictShape = z.strictObject({
  ok: z.boolean(),
  rows: z.int(),
  erased: z.int().describe("Rows whose details were erased."),
  broken: z.string().optional().describe("The first thing that is wrong."),
  head: z.string().describe("Digest of the last good row; kept elsewhere, it proves later that nothing before it was rewritten."),
});

export function shownEntry(row: Link & { readonly details: string | null }): ShownEntry {
  const { seq, id, at, actor_user: user, actor_key: key, actor_role: role, action, target, status, count, details, hash } = row;
  return {
    seq,
    id,
    at: new Date(at).toISOString(),
    actor: { user, key, role },
    action,
    target: JSON.parse(target),
    status,
    count,
    details: details === null ? null : JSON.parse(details),
    hash,
  };
}
