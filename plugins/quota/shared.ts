import type { Clock, Database, Events, Logger, Spools } from "headgate";
import { Keeper } from "./keeper.ts";
import { News } from "./news.ts";

export interface SharedServices {
  readonly clock: Clock;
  readonly db: Database;
  readonly events: Events;
  readonly logger: Logger;
  readonly spools: Spools;
}

/** What all chains of one gateway share: the budgets, and what is told of them. Limits are each chain's own. */
export interface Shared {
  readonly keeper: Keeper;
  readonly news: News;
}

const all = new WeakMap<Spools, Shared>();

export function sharedOf({ clock, db, events, logger, spools }: SharedServices): Shared {
  const known = all.get(spools);
  if (known) return known;
  const news = new News(events, clock);
  const keeper = new Keeper({
    db,
    spools,
    clock,
    logger,
    onBooked: (accounts) => news.booked(accounts),
    onBegun: (accounts) => news.begun(accounts),
  });
  const shared = { news, keeper };
  all.set(spools, shared);
  return shared;
}
