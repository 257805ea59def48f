import { GatewayError } from "../errors.ts";
import { type Caller, ROLES, type Role } from "../exchange.ts";

/** Whether a role is the wanted one, or above it. */
export function ranksAs(role: Role, wanted: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(wanted);
}

/**
 * Nobody changes what belongs to somebody above them, whose role is `role`: throws a GatewayError `permission_denied`. Where
 * nobody authenticates there is no caller, and whoever the route has let through may do everything.
 */
export function checkRank(caller: Caller | undefined, role: Role): void {
  if (!caller || ranksAs(caller.role, role)) return;
  throw new GatewayError("permission_denied", { message: `Only ${articled(role)} may change what belongs to ${articled(role)}.` });
}

function articled(role: Role): string {
  return `${/^[aeiou]/.test(role) ? "an" : "a"} ${role}`;
}
