import { type ApiRequest, type Caller, GatewayError, ROLES, type Role } from "headgate";

/** Who acts, for permissions and records. The core lets nobody through to a route of a role without a caller. */
export function actorOf({ caller }: Pick<ApiRequest, "caller">): Caller {
  if (!caller) throw new GatewayError("invalid_api_key");
  return caller;
}

/** Id of whoever acts, for records. */
export function nameOfActor({ user, key, name }: Caller): string {
  return user ?? key ?? name;
}

/** Nobody hands out more than they have. */
export function checkGrant(actor: Caller, role: Role): void {
  if (ROLES.indexOf(role) > ROLES.indexOf(actor.role)) {
    throw new GatewayError("permission_denied", { message: `The role ${role} is above your own, ${actor.role}.`, param: "role" });
  }
}

export function missing(what: string): GatewayError {
  return new GatewayError("not_found", { message: `There is no such ${what}.` });
}
