import { Clock, Database, Events, Logger, Spools, token } from "headgate";
import { Keeper } from "./keeper.ts";
import { News } from "./news.ts";

/** What all chains of one gateway share: the budgets, and what is told of them. Limits are each chain's own. */
export interface Shared {
  readonly keeper: Keeper;
  readonly news: News;
}

export const Shared = token<Shared>("quota.shared", (scope) => {
  const news = new News(scope.get(Events), scope.get(Clock));
  const keeper = new Keeper({
    ...scope.inject({ db: Database, spools: Spools, clock: Clock }),
    logger: scope.get(Logger).child({ plugin: "quota" }),
    onBooked: (accounts) => news.booked(accounts),
    onBegun: (accounts) => news.begun(accounts),
  });
  return { news, keeper };
});
