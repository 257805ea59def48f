import { type Caller, type Catalogue, type Clock, type Counter, type Credentials, type Exchange, GatewayError } from "headgate";
import { type Authenticator, credentialOf, missingCredential } from "./authenticator.ts";
import { forwardedUser, namesSomebody } from "./forwarded-user.ts";
import { callerOf, type Identity, standingOf } from "./identity.ts";
import type { People } from "./people.ts";
import { addressRefusal, allowedTargets, modelRefusal, type Policy, routeRefusal } from "./policy.ts";
import type { UserRow } from "./tables.ts";

/** The control plane, among the routes of a key. */
export const API_ROUTE = "api";

export interface GateParts {
  readonly authenticator: Authenticator;
  readonly people: People;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  /** Where a trusted key names its end user. */
  readonly sources: readonly string[];
  /** Counts end users named by keys that may not. */
  readonly ignored: Counter;
  /** Hears of each identity when it is used for the first time since its use was last written down. */
  readonly onUse: (identity: Identity) => void;
}

/** Lets callers in, or says why not. */
export class Gate {
  readonly #parts: GateParts;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Sets the caller of an exchange: at once where everything is known, which is the common case. Throws, or rejects with, a GatewayError. */
  admit(exchange: Exchange): Promise<void> | undefined {
    const { headers, ip } = exchange.client;
    const credential = credentialOf(headers);
    if (credential === undefined) throw missingCredential();
    const identity = this.#parts.authenticator.identify(credential, ip);
    if (identity instanceof Promise) return identity.then((found) => this.#enter(exchange, found));
    return this.#enter(exchange, identity);
  }

  /** The same for the control plane; undefined without a credential. */
  async identify({ headers, ip }: Credentials): Promise<Caller | undefined> {
    const credential = credentialOf(headers);
    if (credential === undefined) return undefined;
    const identity = await this.#parts.authenticator.identify(credential, ip);
    this.#check(identity);
    if (identity.policy) checkPlace(identity.policy, API_ROUTE, ip, headers);
    const user = identity.trusted ? await this.#endUser(identity, headers, undefined) : undefined;
    return user ? callerFor(identity, user) : identity.caller;
  }

  #enter(exchange: Exchange, identity: Identity): Promise<void> | undefined {
    this.#check(identity);
    const { headers, ip } = exchange.client;
    if (identity.policy) {
      checkPlace(identity.policy, exchange.operation, ip, headers);
      this.#narrow(exchange, identity.policy);
    }
    if (identity.stops !== undefined) exchange.headers.set("x-headgate-key-stops", identity.stops);
    exchange.caller = identity.caller;
    exchange.note(identity.note);
    if (!identity.trusted) {
      if (namesSomebody(this.#parts.sources, headers)) this.#parts.ignored.add(1);
      return undefined;
    }
    const user = this.#endUser(identity, headers, exchange.request.user);
    if (user instanceof Promise) return user.then((found) => setUser(exchange, identity, found));
    setUser(exchange, identity, user);
    return undefined;
  }

  #check(identity: Identity): void {
    if (this.#parts.clock.monotonic() >= identity.refusedFrom) throw identity.refusal();
    if (!identity.touched) {
      identity.touched = true;
      this.#parts.onUse(identity);
    }
  }

  #narrow(exchange: Exchange, policy: Policy): void {
    if (!policy.restrictions.models || exchange.operation === "models") return;
    const { requestedModel } = exchange;
    const alias = this.#parts.catalogue.aliases().includes(requestedModel) ? requestedModel : undefined;
    exchange.targets = allowedTargets(policy, alias, exchange.targets);
    if (exchange.targets.length === 0) throw denied(modelRefusal(policy), "model");
  }

  #endUser(identity: Identity, headers: Exchange["client"]["headers"], bodyUser: unknown): Promise<UserRow> | UserRow | undefined {
    const { people, sources } = this.#parts;
    const profile = forwardedUser(sources, headers, bodyUser);
    if (!profile) return undefined;
    return people.recall(profile) ?? people.meet(profile, identity.caller.key ?? "");
  }
}

function checkPlace(policy: Policy, route: string, ip: string, headers: Exchange["client"]["headers"]): void {
  const refusal = addressRefusal(policy, ip, headers) ?? routeRefusal(policy, route);
  if (refusal !== undefined) throw denied(refusal);
}

function setUser(exchange: Exchange, identity: Identity, user: UserRow | undefined): void {
  if (!user) return;
  exchange.caller = callerFor(identity, user);
  exchange.note(`for ${user.id}`);
}

function callerFor({ caller }: Identity, user: UserRow): Caller {
  const refusal = standingOf(user);
  if (refusal) throw refusal();
  return callerOf(user, caller.key, caller.role);
}

function denied(message: string, param: string | null = null): GatewayError {
  return new GatewayError("permission_denied", { message, param });
}
