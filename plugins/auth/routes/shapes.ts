import { pageQuery, ROLES } from "headgate";
import { z } from "zod";
import { emailOf } from "../forwarded-user.ts";
import { API_ROUTE } from "../gate.ts";
import { endOf, restrictionsOf, rotationDue, type Terms } from "../identity.ts";
import { label } from "../options.ts";
import { parseRange } from "../policy.ts";
import { type ErasureRow, type KeyRow, STATUSES, type UserRow } from "../tables.ts";

/** What a key may be used for: the operations of the data plane, and the control plane. */
const ROUTES = ["chat", "embeddings", "count_tokens", "models", API_ROUTE] as const;

const line = (longest: number) =>
  z
    .string()
    .min(1)
    .max(longest)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, "one line of text");
const role = z.enum(ROLES);
const email = z
  .string()
  .max(254)
  .refine((text) => emailOf(text.trim()) !== null, "an e-mail address")
  .transform((text) => text.trim().toLowerCase());
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text).getTime());

const userFields = {
  email: email.nullable(),
  external_id: line(256).nullable(),
  name: line(200).nullable(),
  plan: label(),
  team: label().nullable(),
  segment: label(),
  role,
  notes: z
    .string()
    .max(4_000)
    .regex(/^[^\0]*$/)
    .nullable(),
};

export const NewUser = z.strictObject({ ...z.strictObject(userFields).partial().shape, status: z.enum(STATUSES).default("active") });
export const UserChange = z.strictObject(userFields).partial();
export const Reason = z.strictObject({ reason: line(500).optional() });

const keyFields = {
  name: line(100),
  role,
  /** Whether it may name the end user of each call. */
  trusted: z.boolean(),
  models: z.array(line(200)).min(1).max(200).nullable(),
  routes: z.array(z.enum(ROUTES)).min(1).nullable(),
  ips: z
    .array(
      z
        .string()
        .max(64)
        .refine((text) => parseRange(text) !== undefined, "an IP address or a CIDR range"),
    )
    .min(1)
    .max(200)
    .nullable(),
  expires_at: time.nullable(),
  /** 0 for never. */
  rotate_every_days: z.int().min(0).max(3650),
};

export const NewKeyBody = z.strictObject({
  ...z.strictObject(keyFields).partial().shape,
  name: keyFields.name,
  user_id: line(200).nullable().optional(),
});
export const KeyChange = z.strictObject(keyFields).partial();
export const Rotation = z.strictObject({ overlap_days: z.int().min(0).max(365).optional() });

export const UserQuery = pageQuery().extend({
  q: line(200).optional(),
  status: z.enum(STATUSES).optional(),
  role: role.optional(),
  plan: label().optional(),
  team: label().optional(),
});
export const KeyQuery = pageQuery().extend({ user_id: line(200).optional() });

const moment = z.string().nullable();

export const UserShape = z.strictObject({
  id: z.string(),
  email: z.string().nullable(),
  external_id: z.string().nullable(),
  name: z.string().nullable(),
  plan: z.string(),
  team: z.string().nullable(),
  segment: z.string(),
  role,
  status: z.enum(STATUSES),
  status_reason: z.string().nullable(),
  notes: z.string().nullable().optional(),
  created_at: z.string(),
  updated_at: z.string(),
});

export const KeyShape = z.strictObject({
  id: z.string(),
  name: z.string(),
  /** Shown once, when the key is made. */
  key: z.string().optional(),
  last4: z.string(),
  user_id: z.string().nullable(),
  role,
  trusted: z.boolean(),
  models: z.array(z.string()).readonly().nullable(),
  routes: z.array(z.string()).readonly().nullable(),
  ips: z.array(z.string()).readonly().nullable(),
  active: z.boolean(),
  /** When it stops working, for whatever reason; null for never. */
  stops_at: moment,
  expires_at: moment,
  rotate_every_days: z.int(),
  rotate_at: moment,
  rotation_due: z.boolean(),
  rotated_from: z.string().nullable(),
  replaced_by: z.string().nullable(),
  revoked_at: moment,
  last_used_at: moment,
  created_at: z.string(),
});

export const ErasureShape = z.strictObject({
  id: z.string(),
  user_hash: z.string(),
  counts: z.record(z.string(), z.int()),
  erased_by: z.string(),
  created_at: z.string(),
  /** Null while it is under way, or broke off; erasing again finishes it. */
  finished_at: moment,
});

export function shownUser(user: UserRow): z.input<typeof UserShape> {
  return { ...user, created_at: iso(user.created_at) as string, updated_at: iso(user.updated_at) as string };
}

/** `text` is the key itself, for the one answer that shows it. */
export function shownKey(key: KeyRow, terms: Terms, now: number, text?: string): z.input<typeof KeyShape> {
  const end = endOf(key, terms);
  const stops = Math.max(0, Math.min(end.at, key.revoked_at ?? Number.POSITIVE_INFINITY));
  return {
    id: key.id,
    name: key.name,
    ...(text === undefined ? {} : { key: text }),
    last4: key.last4,
    user_id: key.user_id,
    role: key.role,
    trusted: key.trusted === 1,
    ...restrictionsOf(key),
    active: end.at > now,
    stops_at: iso(key.revoked_at ?? (Number.isFinite(stops) ? stops : null)),
    expires_at: iso(key.expires_at),
    rotate_every_days: key.rotate_every_days,
    rotate_at: iso(key.rotate_at),
    rotation_due: rotationDue(key, terms, now),
    rotated_from: key.rotated_from,
    replaced_by: key.replaced_by,
    revoked_at: iso(key.revoked_at),
    last_used_at: iso(key.last_used_at),
    created_at: iso(key.created_at) as string,
  };
}

export function shownErasure({ counts, created_at, finished_at, ...proof }: ErasureRow): z.input<typeof ErasureShape> {
  return { ...proof, counts: JSON.parse(counts), created_at: iso(created_at) as string, finished_at: iso(finished_at) };
}

function iso(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
