import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/** A new key: the text that is shown once, and what is kept of it. */
export interface NewKey {
  readonly text: string;
  readonly hash: string;
  /** Its last four characters, by which people tell keys apart. */
  readonly last4: string;
}

/** Longest credential that is looked at, so that a huge header costs no hashing. */
export const LONGEST_KEY = 512;
const BYTES = 32;
const SHAPE = /^hg_[\w-]{43}$/;

/** `hg_` and 256 random bits, so many that a plain SHA-256 of it cannot be searched backwards. */
export function newKey(prefix = "hg_"): NewKey {
  const text = prefix + randomBytes(BYTES).toString("base64url");
  return { text, hash: hashOf(text), last4: text.slice(-4) };
}

/** SHA-256 in base64url. All caches and tables go by the whole of it, so a look-up's time tells nothing of a key. */
export function hashOf(text: string): string {
  return hash("sha256", text, "base64url");
}

/** Whether a text can be a key at all; any other needs no database to be refused. */
export function looksLikeKey(text: string): boolean {
  return SHAPE.test(text);
}

/** In constant time: a database may compare by a collation that takes different hashes for equal. */
export function sameHash(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

/** What may be shown of a wrong key: its last four characters, and nothing of a short text. */
export function tailOf(text: string): string {
  return text.length >= 16 && /^[\w-]{4}$/.test(text.slice(-4)) ? `…${text.slice(-4)}` : "that was sent";
}
