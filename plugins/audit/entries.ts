import type { EventMap, Ids } from "headgate";
import type { Entry } from "./chain.ts";
import type { CountedRefusal } from "./refusals.ts";

/** Longest input that is recorded, as JSON. */
const MOST_DETAILS = 16_384;

/** A call of the control plane. Of persons, only details say more than ids. */
export function entryOfCall(event: EventMap["api.handled"], at: number, ids: Ids): Entry {
  const { caller, ip, method, route, params, made, body, status } = event;
  return {
    ...entryBy(caller, ids),
    at,
    action: `${method} ${route}`,
    target: JSON.stringify({ ...params, ...(made !== undefined && { made }) }),
    status,
    count: 1,
    details: detailsOf({ name: caller?.name, ip, body }),
  };
}

export function entryOfRefusal({ caller, ip, code, status, target, at, count }: CountedRefusal, ids: Ids): Entry {
  return {
    ...entryBy(caller, ids),
    at,
    action: `refused:${code}`,
    target: JSON.stringify(target),
    status,
    count,
    details: detailsOf({ name: caller?.name, ip }),
  };
}

function entryBy(caller: EventMap["api.handled"]["caller"], ids: Ids) {
  const { user = null, key = null, role = null } = caller ?? {};
  return { id: ids.next("aud"), salt: ids.next("salt"), actor_user: user, actor_key: key, actor_role: role };
}

function detailsOf(details: Record<string, unknown>): string {
  const text = JSON.stringify(details);
  return text.length > MOST_DETAILS ? JSON.stringify({ ...details, body: "too long to be recorded" }) : text;
}
