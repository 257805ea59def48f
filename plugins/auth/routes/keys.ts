import { type ApiRequest, type ApiRoute, apiRoute, type Caller, checkRank, GatewayError, page, pageOf, type Role } from "headgate";
import type { Directory } from "../directory.ts";
import { DAY_MS, type Terms } from "../identity.ts";
import { newKey } from "../key.ts";
import { type KeyFields, rotateAt } from "../keys.ts";
import type { KeyRow } from "../tables.ts";
import { actorOf, checkGrant, missing } from "./permission.ts";
import { KeyChange, KeyQuery, KeyShape, NewKeyBody, Rotation, shownKey } from "./shapes.ts";

export function keyRoutes(directory: Directory, terms: Terms): ApiRoute[] {
  const { keys, users } = directory;

  /** A key that the actor may change. */
  async function changeable(request: ApiRequest, id: string): Promise<{ key: KeyRow; actor: Caller }> {
    const actor = actorOf(request);
    const key = await keys.byId(id);
    if (!key) throw missing("key");
    checkRank(actor, rankOf(key));
    const owner = key.user_id === null ? undefined : await users.byId(key.user_id);
    if (owner) checkRank(actor, owner.role);
    return { key, actor };
  }

  return [
    apiRoute({
      method: "POST",
      path: "/api/keys",
      access: "manager",
      summary: "Create a key; the answer shows it, once",
      command: "keys create",
      once: true,
      body: NewKeyBody,
      reply: KeyShape,
      async handle(request) {
        const actor = actorOf(request);
        const { user_id = null, role = "user", rotate_every_days = terms.rotateEveryDays, ...body } = request.body;
        checkGrant(actor, role);
        if (body.trusted) checkTrust(actor);
        if (user_id !== null) {
          const owner = await users.byId(user_id);
          if (!owner) throw new GatewayError("invalid_request", { message: "There is no such user.", param: "user_id" });
          checkRank(actor, owner.role);
        }
        const made = newKey();
        const now = directory.now().wall;
        const fields = { ...NO_RESTRICTIONS, ...columns(body), name: body.name, user_id, role, rotate_every_days };
        return { status: 201, body: shownKey(await keys.create(made, fields, now), terms, now, made.text) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/keys",
      access: "viewer",
      summary: "Keys, newest first",
      command: "keys list",
      query: KeyQuery,
      reply: pageOf(KeyShape),
      async handle({ query: { user_id, ...query } }) {
        const now = directory.now().wall;
        return { body: await page(keys.listed(user_id), query, (key) => shownKey(key, terms, now)) };
      },
    }),
    apiRoute({
      method: "GET",
      path: "/api/keys/:id",
      access: "viewer",
      summary: "One key",
      command: "keys show",
      reply: KeyShape,
      async handle({ params }) {
        const key = await keys.byId(params.id as string);
        if (!key) throw missing("key");
        return { body: shownKey(key, terms, directory.now().wall) };
      },
    }),
    apiRoute({
      method: "PATCH",
      path: "/api/keys/:id",
      access: "manager",
      summary: "Change what a key may be used for",
      command: "keys update",
      body: KeyChange,
      reply: KeyShape,
      async handle(request) {
        const { key, actor } = await changeable(request, request.params.id as string);
        const { role, rotate_every_days, ...body } = request.body;
        if (body.trusted) checkTrust(actor);
        if (role !== undefined) {
          if (key.id === actor.key)
            throw new GatewayError("permission_denied", { message: "Nobody may change their own role.", param: "role" });
          checkGrant(actor, role);
        }
        const fields: Parameters<typeof keys.update>[1] = {
          ...columns(body),
          ...(body.name === undefined ? {} : { name: body.name }),
          ...(role === undefined ? {} : { role }),
          ...(rotate_every_days === undefined ? {} : { rotate_every_days, rotate_at: rotateAt(rotate_every_days, key.created_at) }),
        };
        const changed = Object.keys(fields).length === 0 ? key : await keys.update(key.id, fields);
        if (!changed) throw missing("key");
        await directory.tell({ key: key.id });
        return { body: shownKey(changed, terms, directory.now().wall) };
      },
    }),
    apiRoute({
      method: "POST",
      path: "/api/keys/:id/rotate",
      access: "manager",
      summary: "Replace a key by a new one, which the answer shows, once; the old one works for some days more",
      command: "keys rotate",
      once: true,
      body: Rotation,
      reply: KeyShape,
      async handle(request) {
        const { key } = await changeable(request, request.params.id as string);
        const made = newKey();
        const now = directory.now().wall;
        const overlap = (request.body?.overlap_days ?? terms.overlapDays) * DAY_MS;
        const successor = await keys.rotate(key.id, made, now + overlap, now);
        await directory.tell({ key: key.id });
        return { status: 201, body: shownKey(successor, terms, now, made.text) };
      },
    }),
    apiRoute({
      method: "POST",
      path: "/api/keys/:id/revoke",
      access: "manager",
      summary: "Revoke a key, at once and for good",
      command: "keys revoke",
      reply: KeyShape,
      async handle(request) {
        const { key } = await changeable(request, request.params.id as string);
        const now = directory.now().wall;
        const revoked = await keys.revoke(key.id, now);
        if (!revoked) throw missing("key");
        await directory.tell({ revoked: key.hash });
        return { body: shownKey(revoked, terms, now) };
      },
    }),
  ];
}

/** A trusted key speaks for anybody, so whoever holds it, or gets its successor, had better be an admin. */
function rankOf({ role, trusted }: KeyRow): Role {
  return trusted === 1 ? "admin" : role;
}

function checkTrust({ role }: Caller): void {
  if (role !== "admin")
    throw new GatewayError("permission_denied", { message: "Only an admin may have a key name end users.", param: "trusted" });
}

const NO_RESTRICTIONS = { trusted: 0, models: null, routes: null, ips: null, expires_at: null } as const;

interface Given {
  readonly trusted?: boolean | undefined;
  readonly models?: readonly string[] | null | undefined;
  readonly routes?: readonly string[] | null | undefined;
  readonly ips?: readonly string[] | null | undefined;
  readonly expires_at?: number | null | undefined;
}

/** What was given, as columns. */
function columns({ trusted, models, routes, ips, expires_at }: Given): Partial<KeyFields> {
  const list = (items: readonly string[] | null) => (items === null ? null : JSON.stringify(items));
  return {
    ...(trusted === undefined ? {} : { trusted: Number(trusted) }),
    ...(models === undefined ? {} : { models: list(models) }),
    ...(routes === undefined ? {} : { routes: list(routes) }),
    ...(ips === undefined ? {} : { ips: list(ips) }),
    ...(expires_at === undefined ? {} : { expires_at }),
  };
}
