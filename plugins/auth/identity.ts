import { type Caller, type ErrorCode, GatewayError, ROLES, type Role } from "headgate";
import { type Policy, policyOf } from "./policy.ts";
import type { KeyRow, UserRow } from "./tables.ts";

/** Somebody who is known, ready to be let in: what a call costs is worked out here, once for many calls. */
export interface Identity {
  readonly caller: Caller;
  /** From then on, in monotonic ms, `refusal` says why not; Infinity for somebody without an end. */
  readonly refusedFrom: number;
  readonly refusal: () => GatewayError;
  readonly policy: Policy | undefined;
  /** Whether it may name the end user. */
  readonly trusted: boolean;
  /** When its key stops working unless it is rotated, once that is due; ISO 8601. */
  readonly stops: string | undefined;
  /** Who it was, for the exchange's notes. */
  readonly note: string;
  /** Whether its use is already on the way to the table. */
  touched: boolean;
}

/** `now` is the same moment on both clocks: epoch ms and monotonic ms. */
export interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

export interface Terms {
  readonly defaultPlan: string;
  readonly rotateEveryDays: number;
  readonly overlapDays: number;
}

export const DAY_MS = 86_400_000;
const NEVER = Number.POSITIVE_INFINITY;

/** When and why a key stops working, in epoch ms. */
export interface End {
  readonly at: number;
  readonly why: string;
}

/** The first of its ends: revoked, expired, replaced, or not rotated in time. */
export function endOf(key: KeyRow, terms: Terms): End {
  const rotateBy = key.rotate_at === null || terms.rotateEveryDays === 0 ? NEVER : key.rotate_at + terms.overlapDays * DAY_MS;
  const ends: End[] = [
    { at: key.revoked_at === null ? NEVER : Number.NEGATIVE_INFINITY, why: "was revoked" },
    { at: key.expires_at ?? NEVER, why: "has expired" },
    { at: key.overlap_until ?? NEVER, why: "was replaced by another" },
    { at: key.replaced_by === null ? rotateBy : NEVER, why: "was not rotated in time" },
  ];
  return ends.reduce((first, end) => (end.at < first.at ? end : first));
}

/** Whether a key is to be rotated. */
export function rotationDue(key: KeyRow, terms: Terms, wall: number): boolean {
  return (
    terms.rotateEveryDays > 0 && key.rotate_at !== null && key.rotate_at <= wall && key.replaced_by === null && key.revoked_at === null
  );
}

export function identityOfKey(key: KeyRow, user: UserRow | undefined, terms: Terms, now: Moment): Identity {
  const end = endOf(key, terms);
  const ended = end.at <= now.wall;
  const standing = key.user_id === null ? undefined : user ? standingOf(user) : GONE;
  return {
    caller: user ? callerOf(user, key.id, key.role) : callerOfKey(key, terms),
    refusedFrom: ended || standing ? Number.NEGATIVE_INFINITY : end.at - now.wall + now.monotonic,
    refusal: standing && !ended ? standing : refusing("invalid_api_key", `The API key …${key.last4} ${end.why}.`),
    policy: policyOf(restrictionsOf(key)),
    trusted: key.trusted === 1,
    stops: rotationDue(key, terms, now.wall) && end.at < NEVER ? new Date(end.at).toISOString() : undefined,
    note: `${key.id}${key.user_id === null ? "" : ` of ${key.user_id}`}`,
    touched: false,
  };
}

/** A key that works from this machine only, and stands in no table. */
export function developmentIdentity(terms: Terms): Identity {
  return {
    caller: {
      user: null,
      key: "key_development",
      team: null,
      plan: terms.defaultPlan,
      segment: "standard",
      role: "admin",
      name: "development",
    },
    refusedFrom: NEVER,
    refusal: refusing("invalid_api_key", ""),
    policy: policyOf({ models: null, routes: null, ips: null }, true),
    trusted: false,
    stops: undefined,
    note: "the development key",
    // It stands in no table, so there is nowhere to note its use.
    touched: true,
  };
}

/** Says why a user may not call, or undefined for an active one. */
export function standingOf({ status, status_reason }: UserRow): (() => GatewayError) | undefined {
  if (status === "active") return undefined;
  const what = status === "pending" ? "is waiting for approval" : `is ${status}`;
  return refusing("account_suspended", `This account ${what}${status_reason ? `: ${status_reason}` : ""}.`);
}

/** A user who calls with `key` (null for other credentials) has the lower of both roles. */
export function callerOf(user: UserRow, key: string | null, role: Role): Caller {
  return {
    user: user.id,
    key,
    team: user.team,
    plan: user.plan,
    segment: user.segment,
    role: lower(role, user.role),
    name: nameOf(user),
  };
}

export function nameOf({ email, name, external_id, id }: UserRow): string {
  return email ?? name ?? external_id ?? id;
}

function lower(one: Role, other: Role): Role {
  return ROLES.indexOf(one) < ROLES.indexOf(other) ? one : other;
}

export function restrictionsOf({ models, routes, ips }: KeyRow) {
  const parse = (text: string | null) => (text === null ? null : (JSON.parse(text) as readonly string[]));
  return { models: parse(models), routes: parse(routes), ips: parse(ips) };
}

const GONE = refusing("invalid_api_key", "The user of this API key no longer exists.");

function callerOfKey(key: KeyRow, { defaultPlan }: Terms): Caller {
  return { user: null, key: key.id, team: null, plan: defaultPlan, segment: "standard", role: key.role, name: key.name };
}

function refusing(code: ErrorCode, message: string): () => GatewayError {
  return () => new GatewayError(code, { message });
}
