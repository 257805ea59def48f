import { createHash } from "node:crypto";
import { canonicalJson } from "headgate";

/** What happened, before it has a place in the chain. Who it was about in person stands in `details` alone. */
export interface Entry {
  /** Unique, so that what is delivered twice is recorded once. */
  readonly id: string;
  /** Epoch ms. */
  readonly at: number;
  /** Ids and role of who acted; null for a stranger, and for what somebody does not have. */
  readonly actor_user: string | null;
  readonly actor_key: string | null;
  readonly actor_role: string | null;
  /** `POST /api/keys`, or `refused:` and an error code. */
  readonly action: string;
  /** JSON: what it was done to, by ids. */
  readonly target: string;
  /** HTTP status. */
  readonly status: number;
  /** How often, within a minute. */
  readonly count: number;
  /** Makes guessing what erased details were by their digest as hard as guessing this. */
  readonly salt: string;
  /** JSON: name, address and input. */
  readonly details: string;
}

/** An entry in its place. */
export interface Link extends Omit<Entry, "salt" | "details"> {
  /** From 1, without gaps. */
  readonly seq: number;
  /** SHA-256 of salt and details, which can be erased without breaking the chain. */
  readonly details_hash: string;
  readonly prev_hash: string;
  readonly hash: string;
}

/** The end of a chain. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

export const START: Head = { seq: 0, hash: "0".repeat(64) };

/** The link that follows `head`. */
export function link({ salt, details, ...entry }: Entry, head: Head): Link {
  const unsealed = { ...entry, seq: head.seq + 1, details_hash: detailsHash(salt, details), prev_hash: head.hash };
  return { ...unsealed, hash: seal(unsealed) };
}

/** Why a link cannot follow `head`; undefined when it does. */
export function breakOf(found: Link, head: Head): string | undefined {
  const { hash, ...unsealed } = found;
  if (found.seq !== head.seq + 1) return found.seq > head.seq ? `row ${head.seq + 1} is missing` : `row ${found.seq} is out of order`;
  if (found.prev_hash !== head.hash) return `row ${found.seq} does not follow the one before it`;
  return hash === seal(unsealed) ? undefined : `row ${found.seq} was changed`;
}

export function detailsHash(salt: string, details: string): string {
  return sha256(`${salt}\n${details}`);
}

function seal(unsealed: Omit<Link, "hash">): string {
  return sha256(canonicalJson(unsealed));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
