import { randomFillSync } from "node:crypto";
import { token } from "../di.ts";
import { Clock } from "./clock.ts";

/** Unguessable identifiers such as `req_019f…`. */
export interface Ids {
  /**
   * The prefix, an underscore, and 32 hexadecimal digits: 48 bits of time in ms and 80 random bits (the layout of a
   * UUIDv7, RFC 9562, without its marks). So identifiers sort by age, and new rows go to the end of an index.
   */
  next(prefix: string): string;
}

const BYTES = 16;
const TIME_BYTES = 6;

export const Ids = token<Ids>("ids", (scope) => {
  const clock = scope.get(Clock);
  const pool = Buffer.allocUnsafeSlow(256 * BYTES);
  let at = pool.length;
  return {
    next(prefix) {
      if (at === pool.length) {
        randomFillSync(pool);
        at = 0;
      }
      pool.writeUIntBE(clock.now().getTime(), at, TIME_BYTES);
      at += BYTES;
      return `${prefix}_${pool.toString("hex", at - BYTES, at)}`;
    },
  };
});
