import { type ApiRoute, apiRoute, ROLES } from "headgate";
import { z } from "zod";
import type { Directory } from "../directory.ts";
import type { Terms } from "../identity.ts";
import { actorOf } from "./permission.ts";
import { KeyShape, shownKey, shownUser, UserShape } from "./shapes.ts";

const Me = z.strictObject({
  role: z.enum(ROLES),
  plan: z.string(),
  team: z.string().nullable(),
  /** Null for a key that belongs to nobody. */
  user: UserShape.omit({ notes: true }).nullable(),
  /** The user's keys; of a key that belongs to nobody itself. */
  keys: z.array(KeyShape),
});

/** What everybody may see: themselves. */
export function ownRoutes({ users, keys, now }: Directory, terms: Terms): ApiRoute[] {
  return [
    apiRoute({
      method: "GET",
      path: "/api/me",
      access: "user",
      summary: "Who I am, with my keys",
      command: "me show",
      reply: Me,
      async handle(request) {
        const { role, plan, team, user, key } = actorOf(request);
        const row = user === null ? undefined : await users.byId(user);
        const own = user === null ? [key === null ? undefined : await keys.byId(key)] : await keys.ofUser(user);
        const { notes: _, ...shown } = row ? shownUser(row) : { notes: null };
        const wall = now().wall;
        return {
          body: { role, plan, team, user: row ? shown : null, keys: own.flatMap((each) => (each ? shownKey(each, terms, wall) : [])) },
        };
      },
    }),
  ];
}
