import { createPublicKey } from "node:crypto";
import { type Clock, GatewayError, type HttpClient, ROLES, type Role } from "headgate";
import type { JWTPayload, JWTVerifyOptions } from "jose";
import type { TokenReader } from "./authenticator.ts";
import { clean, emailOf } from "./forwarded-user.ts";
import { callerOf, type Identity, standingOf } from "./identity.ts";
import { KeySet } from "./key-set.ts";
import { type JwtOptions, label } from "./options.ts";
import type { People } from "./people.ts";
import { Recent } from "./recent.ts";
import type { UserRow } from "./tables.ts";
import type { Profile } from "./users.ts";

/** Longest token that is looked at. */
const LONGEST = 8_192;
/** To the letter: decoders pass over spaces. */
const SHAPE = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;
const KEPT = 10_000;

/** What a verified token says, and until when it is good, in monotonic ms. */
interface Verified {
  readonly profile: Profile;
  readonly plan: string | undefined;
  readonly team: string | undefined;
  readonly role: Role | undefined;
  readonly until: number;
}

/**
 * JSON Web Tokens of one issuer. Only the algorithms named in the config count, issuer and audience have to match, and a
 * token without an end is refused. A verified token is remembered by its whole SHA-256 until it ends.
 */
export class JwtReader implements TokenReader {
  readonly #options: JwtOptions;
  readonly #people: People;
  readonly #clock: Clock;
  readonly #verified = new Recent<Verified>(KEPT);
  readonly #keySet: KeySet | undefined;
  readonly #key: Uint8Array | ReturnType<typeof createPublicKey> | undefined;

  /** Throws when the public key is none. */
  constructor(options: JwtOptions, people: People, http: HttpClient, clock: Clock) {
    this.#options = options;
    this.#people = people;
    this.#clock = clock;
    if (options.jwksUrl !== undefined) this.#keySet = new KeySet(options.jwksUrl, http, clock);
    else this.#key = options.secret ? Buffer.from(options.secret.reveal()) : createPublicKey(options.publicKey as string);
  }

  reads(credential: string): boolean {
    return credential.length <= LONGEST && SHAPE.test(credential);
  }

  recall(hash: string): Identity | undefined {
    const verified = this.#verified.get(hash);
    if (!verified || this.#clock.monotonic() >= verified.until) return undefined;
    const user = this.#people.recall(verified.profile);
    return user && identityOf(user, verified);
  }

  async verify(token: string, hash: string): Promise<Identity | undefined> {
    const known = this.#verified.get(hash);
    const verified = known && this.#clock.monotonic() < known.until ? known : await this.#check(token);
    if (!verified) return undefined;
    this.#verified.set(hash, verified);
    return identityOf(await this.#people.meet(verified.profile, "jwt"), verified);
  }

  async #check(token: string): Promise<Verified | undefined> {
    const { algorithms, issuer, audience, clockToleranceSeconds: clockTolerance } = this.#options;
    const currentDate = this.#clock.now();
    const checks = { algorithms, issuer, audience, clockTolerance, currentDate, requiredClaims: ["exp"] };
    try {
      const claims = await this.#claims(token, checks);
      const left = (claims.exp as number) * 1000 + clockTolerance * 1000 - currentDate.getTime();
      return this.#read(claims, this.#clock.monotonic() + left);
    } catch (error) {
      // Whatever else goes wrong is the token's doing, such as naming an algorithm that does not go with the key.
      if (error instanceof GatewayError) throw error;
      return undefined;
    }
  }

  async #claims(token: string, checks: JWTVerifyOptions): Promise<JWTPayload> {
    // Loaded when first needed: most gateways take keys alone.
    const { createLocalJWKSet, jwtVerify } = await import("jose");
    if (!this.#keySet) return (await jwtVerify(token, this.#key as Uint8Array, checks)).payload;
    try {
      return (await jwtVerify(token, createLocalJWKSet(await this.#keySet.get()), checks)).payload;
    } catch (error) {
      const renewed = (error as { code?: unknown }).code === "ERR_JWKS_NO_MATCHING_KEY" ? await this.#keySet.renew() : undefined;
      if (!renewed) throw error;
      return (await jwtVerify(token, createLocalJWKSet(renewed), checks)).payload;
    }
  }

  /** Undefined when the claims name nobody. */
  #read(claims: JWTPayload, until: number): Verified | undefined {
    const names = this.#options.claims;
    const text = (name: string | undefined) => (name === undefined ? undefined : clean(claims[name]));
    const subject = text(names.user);
    if (subject === undefined) return undefined;
    const email = claims.email_verified === false ? null : emailOf(text(names.email) ?? "");
    return {
      profile: { email, externalId: `jwt/${subject}`, name: text(names.name) ?? null },
      plan: labelOf(text(names.plan)),
      team: labelOf(text(names.team)),
      role: ROLES.find((role) => role === text(names.role)),
      until,
    };
  }
}

function identityOf(user: UserRow, { plan, team, role, until }: Verified): Identity {
  const refusal = standingOf(user);
  const merged = { ...user, plan: plan ?? user.plan, team: team ?? user.team, role: role ?? user.role };
  return {
    caller: callerOf(merged, null, merged.role),
    refusedFrom: refusal ? Number.NEGATIVE_INFINITY : until,
    refusal: refusal ?? expired,
    policy: undefined,
    trusted: false,
    stops: undefined,
    note: `a token of ${user.id}`,
    touched: true,
  };
}

function expired(): GatewayError {
  return new GatewayError("invalid_api_key", { message: "This token has expired." });
}

function labelOf(text: string | undefined): string | undefined {
  return text !== undefined && label().safeParse(text).success ? text : undefined;
}
