import { type ApiRoute, apiRoute, checkRank, GatewayError, type PersonalDataRegistry, page, pageOf, pageQuery } from "headgate";
import { z } from "zod";
import type { Directory } from "../directory.ts";
import type { Erasures } from "../erasures.ts";
import { actorOf, missing, nameOfActor } from "./permission.ts";
import { ErasureShape, shownErasure } from "./shapes.ts";

const Everything = z.record(z.string(), z.unknown());

/** The right of access and the right to erasure, over all plugins. */
export function erasureRoutes({ users, now }: Directory, erasures: Erasures, everything: PersonalDataRegistry): ApiRoute[] {
  return [
    apiRoute({
      method: "GET",
      path: "/api/me/export",
      access: "user",
      summary: "Everything that is kept about me",
      command: "me export",
      reply: Everything,
      async handle(request) {
        const { user } = actorOf(request);
        if (user === null)
          throw new GatewayError("not_found", { message: "This key belongs to nobody, so nothing is kept about its user." });
        const { user: own, ...rest } = await everything.export(user);
        return { body: { user: withoutNotes(own), ...rest } };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/users/:id/export",
      access: "manager",
      summary: "Everything that is kept about a user",
      command: "users export",
      reply: Everything,
      async handle(request) {
        const id = request.params.id as string;
        const user = await users.byId(id);
        if (!user) throw missing("user");
        checkRank(actorOf(request), user.role);
        return { body: await everything.export(id) };
      },
    }),
    apiRoute({
      method: "POST",
      path: "/api/users/:id/erase",
      access: "admin",
      summary: "Erase everything that is kept about a user, for good, and keep a proof of it",
      command: "users erase",
      reply: ErasureShape,
      async handle(request) {
        const actor = actorOf(request);
        const id = request.params.id as string;
        if (id === actor.user) throw new GatewayError("permission_denied", { message: "Nobody may erase themselves." });
        const { id: proof, isNew } = await erasures.begin(id, nameOfActor(actor), now().wall);
        const counts = await everything.erase(id);
        if (isNew && Object.values(counts).every((count) => count === 0)) {
          await erasures.drop(proof);
          throw missing("user");
        }
        return { body: shownErasure(await erasures.finish(proof, counts, now().wall)) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/erasures",
      access: "admin",
      summary: "Proofs of erasure, newest first",
      command: "erasures list",
      query: pageQuery(),
      reply: pageOf(ErasureShape),
      handle: async ({ query }) => ({ body: await page(erasures.listed(), query, shownErasure) }),
    }),
  ];
}

/** What is noted about a user is for those who administer. */
function withoutNotes(user: unknown): unknown {
  if (typeof user !== "object" || user === null) return user;
  const { notes: _, ...shown } = user as { notes?: unknown };
  return shown;
}
