import { GatewayError } from "../errors.ts";
import { type Caller, ROLES, type Role } from "../exchange.ts";
import type { Access, ApiRoute } from "./api.ts";
import { ranksAs } from "./rank.ts";

/** Who asks for a route. */
export interface Visitor {
  readonly caller: Caller | undefined;
  /** Whether the call comes from this machine itself. */
  readonly local: boolean;
  /** Whether any plugin authenticates. */
  readonly guarded: boolean;
}

/** Why a visitor may not use a route; undefined when they may. Nothing is allowed that is not listed here. */
export function refusalOf(access: Access, { caller, local, guarded }: Visitor): GatewayError | undefined {
  if (access === "public") return undefined;
  if (access === "operator") {
    if (local || (caller && ranksAs(caller.role, "viewer"))) return undefined;
    // A stranger does not learn that there is anything.
    return new GatewayError(caller ? "permission_denied" : "not_found");
  }
  if (caller) return ranksAs(caller.role, access) ? undefined : new GatewayError("permission_denied");
  return local && !guarded ? undefined : new GatewayError("invalid_api_key");
}

/** Who may call what, as rows of a table: route by route, first anyone, then each role. */
export function accessTable(routes: readonly ApiRoute[]): string[][] {
  const visitor = (role?: Role): Visitor => ({
    caller: role && { user: null, key: null, team: null, plan: "", segment: "", role, name: role },
    local: false,
    guarded: true,
  });
  const visitors = [visitor(), ...ROLES.map(visitor)];
  return routes
    .toSorted((a, b) => (a.path === b.path ? compare(a.method, b.method) : compare(a.path, b.path)))
    .map(({ method, path, access }) => [
      `\`${method} ${path}\``,
      ...visitors.map((each) => String(refusalOf(access, each)?.status ?? "yes")),
    ]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : 1;
}
