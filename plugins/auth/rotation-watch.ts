import type { Clock, Events, Logger } from "headgate";
import type { Directory } from "./directory.ts";
import { endOf, type Terms } from "./identity.ts";

declare module "headgate" {
  interface EventMap {
    /** A key is to be rotated; told once a day, by one instance. Times are epoch ms; `stopsAt` is null where it goes on working. */
    "auth.rotation_due": {
      readonly key: string;
      readonly name: string;
      readonly last4: string;
      readonly user: string | null;
      readonly dueAt: number;
      readonly stopsAt: number | null;
    };
  }
}

/** How often it is looked for keys to be rotated, in ms. */
const LOOK_MS = 3_600_000;
/** First after the start, so that a gateway that is restarted every hour tells too. */
const FIRST_MS = 60_000;

/** Tells of keys that are to be rotated. Returns how to stop. */
export function watchRotation(
  directory: Directory,
  terms: Terms,
  { clock, events, logger }: { clock: Clock; events: Events; logger: Logger },
) {
  async function look(): Promise<void> {
    try {
      for (const key of await directory.keys.claimDue(directory.now().wall)) {
        const { at } = endOf(key, terms);
        const { id, name, last4, user_id: user, rotate_at } = key;
        events.emit("auth.rotation_due", {
          key: id,
          name,
          last4,
          user,
          dueAt: rotate_at as number,
          stopsAt: Number.isFinite(at) ? at : null,
        });
        logger.warn({ id, name, stops: Number.isFinite(at) ? new Date(at).toISOString() : null }, "an API key is to be rotated");
      }
    } catch (error) {
      logger.warn({ err: error }, "keys to be rotated could not be looked for");
    }
  }
  if (terms.rotateEveryDays === 0) return () => undefined;
  const first = clock.timer(FIRST_MS, () => void look());
  const timer = clock.interval(LOOK_MS, () => void look());
  return () => {
    first.cancel();
    timer.cancel();
  };
}
