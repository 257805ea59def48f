import { type ApiRequest, type ApiRoute, apiRoute, type Caller, checkRank, GatewayError, page, pageOf } from "headgate";
import type { Directory } from "../directory.ts";
import type { Status, UserRow } from "../tables.ts";
import type { UserFields } from "../users.ts";
import { actorOf, checkGrant, missing } from "./permission.ts";
import { NewUser, Reason, shownUser, UserChange, UserQuery, UserShape } from "./shapes.ts";

export function userRoutes(directory: Directory, terms: { readonly defaultPlan: string }): ApiRoute[] {
  const { users, keys } = directory;
  const now = () => directory.now().wall;

  /** A user whom the actor may change. */
  async function changeable(request: ApiRequest): Promise<{ user: UserRow; actor: Caller }> {
    const actor = actorOf(request);
    const user = await users.byId(request.params.id as string);
    if (!user) throw missing("user");
    checkRank(actor, user.role);
    return { user, actor };
  }

  async function checkFree(fields: Partial<UserFields>, id: string | null): Promise<void> {
    if (await users.taken(fields, id)) throw taken();
  }

  function statusRoute(word: string, status: Status, summary: string): ApiRoute {
    return apiRoute({
      method: "POST",
      path: `/api/users/:id/${word}`,
      access: "manager",
      summary,
      command: `users ${word}`,
      body: Reason,
      reply: UserShape,
      async handle(request) {
        const { user, actor } = await changeable(request);
        if (user.id === actor.user) throw new GatewayError("permission_denied", { message: "Nobody may change their own status." });
        const changed = await users.update(user.id, { status, status_reason: request.body?.reason ?? null }, now());
        if (!changed) throw missing("user");
        await directory.tell({ user: user.id });
        return { body: shownUser(changed) };
      },
    });
  }

  return [
    apiRoute({
      method: "POST",
      path: "/api/users",
      access: "manager",
      summary: "Create a user",
      command: "users create",
      body: NewUser,
      reply: UserShape,
      async handle(request) {
        const fields = { ...EMPTY, plan: terms.defaultPlan, ...given(request.body) };
        checkGrant(actorOf(request), fields.role);
        const user = await users.create(fields, now());
        if (!user) throw taken();
        return { status: 201, body: shownUser(user) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/users",
      access: "viewer",
      summary: "Users, newest first; `q` looks in id, address, name and external id",
      command: "users list",
      query: UserQuery,
      reply: pageOf(UserShape),
      handle: async ({ query: { limit, cursor, ...filter } }) => ({ body: await page(users.listed(filter), { limit, cursor }, shownUser) }),
    }),
    apiRoute({
      method: "GET",
      path: "/api/users/:id",
      access: "viewer",
      summary: "One user",
      command: "users show",
      reply: UserShape,
      async handle({ params }) {
        const user = await users.byId(params.id as string);
        if (!user) throw missing("user");
        return { body: shownUser(user) };
      },
    }),
    apiRoute({
      method: "PATCH",
      path: "/api/users/:id",
      access: "manager",
      summary: "Change a user",
      command: "users update",
      body: UserChange,
      reply: UserShape,
      async handle(request) {
        const { user, actor } = await changeable(request);
        const fields = given(request.body);
        if (fields.role !== undefined && fields.role !== user.role) {
          if (user.id === actor.user)
            throw new GatewayError("permission_denied", { message: "Nobody may change their own role.", param: "role" });
          checkGrant(actor, fields.role);
        }
        await checkFree(fields, user.id);
        const changed = Object.keys(fields).length === 0 ? user : await users.update(user.id, fields, now());
        if (!changed) throw missing("user");
        await directory.tell({ user: user.id });
        return { body: shownUser(changed) };
      },
    }),
    statusRoute("suspend", "suspended", "Suspend a user, with a reason that the user sees"),
    statusRoute("block", "blocked", "Block a user, with a reason that the user sees"),
    statusRoute("activate", "active", "Make a user active, also one that is waiting for approval"),
    apiRoute({
      method: "DELETE",
      path: "/api/users/:id",
      access: "admin",
      summary: "Delete a user and revoke all keys; what was used stays on record (erase removes that too)",
      command: "users delete",
      reply: UserShape,
      async handle(request) {
        const { user, actor } = await changeable(request);
        if (user.id === actor.user) throw new GatewayError("permission_denied", { message: "Nobody may delete themselves." });
        await keys.revokeOfUser(user.id, now());
        await users.delete(user.id);
        await directory.tell({ user: user.id });
        return { body: shownUser(user) };
      },
    }),
  ];
}

const EMPTY: Omit<UserFields, "plan"> = {
  email: null,
  external_id: null,
  name: null,
  team: null,
  segment: "standard",
  role: "user",
  status: "active",
  status_reason: null,
  notes: null,
};

/** Without the fields that were left out. */
function given<T extends object>(body: T): { [Field in keyof T]?: Exclude<T[Field], undefined> } {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as never;
}

function taken(): GatewayError {
  return new GatewayError("conflict", { message: "Another user has this e-mail address or external id." });
}
