import { randomFillSync } from "node:crypto";
import { token } from "../di.ts";

/** Unguessable identifiers such as `req_5f0c…`. */
export interface Ids {
  /** The prefix, an underscore, and 128 random bits in hexadecimal. */
  next(prefix: string): string;
}

const BYTES = 16;

export const Ids = token<Ids>("ids", () => {
  const pool = Buffer.allocUnsafeSlow(256 * BYTES);
  let at = pool.length;
  return {
    next(prefix) {
      if (at === pool.length) {
        randomFillSync(pool);
        at = 0;
      }
      at += BYTES;
      return `${prefix}_${pool.toString("hex", at - BYTES, at)}`;
    },
  };
});
