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
  if (rank(role) > rank(actor.role)) {
    throw new GatewayError("permission_denied", { message: `Only ${articled(role)} may grant the role ${role}.`, param: "role" });
  }
}

/** Nobody changes what belongs to somebody above them. */
export function checkRank(actor: Caller, role: Role): void {
  if (rank(role) > rank(actor.role)) {
    throw new GatewayError("permission_denied", { message: `Only ${articled(role)} may change what belongs to ${articled(role)}.` });
  }
}

export function missing(what: string): GatewayError {
  return new GatewayError("not_found", { message: `There is no such ${what}.` });
}

function rank(role: Role): number {
  return ROLES.indexOf(role);
}

function articled(role: Role): string {
  return `${/^[aeiou]/.test(role) ? "an" : "a"} ${role}`;
}
