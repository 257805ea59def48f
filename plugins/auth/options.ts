import { secret } from "headgate";
import { z } from "zod";

const claim = () => z.string().min(1).max(200);
/** A name of a plan, team, segment or the like. */
export const label = () =>
  z
    .string()
    .regex(/^[\p{L}\p{N}][\p{L}\p{N} _.@/-]{0,63}$/u)
    .meta({ title: "a name of at most 64 letters, digits, spaces and _ . @ / -" });

const JwtOptions = z
  .strictObject({
    /** Algorithms that a token may be signed with; any other is refused, whatever the token says. */
    algorithms: z.array(z.enum(["HS256", "RS256", "ES256"])).min(1),
    /** The shared secret of HS256, at least 32 characters. */
    secret: secret()
      .refine((value) => value.reveal().length >= 32, "at least 32 characters")
      .optional(),
    /** A public key in PEM (SPKI), for RS256 or ES256. */
    publicKey: z.string().min(1).optional(),
    /** Where the issuer publishes its public keys. Asked when a token names a key that is not known, at most every 30 s. */
    jwksUrl: z.url({ protocol: /^https?$/ }).optional(),
    /** The `iss` that a token must have. */
    issuer: z.string().min(1),
    /** The `aud` that a token must have. */
    audience: z.string().min(1),
    /** Seconds by which clocks may differ. */
    clockToleranceSeconds: z.int().min(0).max(600).default(30),
    claims: z
      .strictObject({
        /** Claim that tells one user from another. */
        user: claim().default("sub"),
        email: claim().default("email"),
        name: claim().default("name"),
        /** Claim that names the plan; by default the user's own plan counts. */
        plan: claim().optional(),
        team: claim().optional(),
        /** Claim that names the role (admin, manager, viewer or user); by default the user's own role counts. */
        role: claim().optional(),
      })
      .prefault({}),
  })
  .refine(({ secret, publicKey, jwksUrl }) => [secret, publicKey, jwksUrl].filter((source) => source !== undefined).length === 1, {
    message: "give exactly one of secret, publicKey and jwksUrl",
  })
  .refine(({ algorithms, secret }) => algorithms.every((name) => (name === "HS256") === (secret !== undefined)), {
    message: "HS256 goes with a secret alone, RS256 and ES256 with public keys alone",
  });

export type JwtOptions = z.output<typeof JwtOptions>;

export const AuthOptions = z.strictObject({
  /**
   * One key with the role admin that works from this machine only: `true` makes one at the first start and keeps it in
   * the data folder, a text is taken as it is. Printed at start. For development.
   */
  developmentKey: z.union([z.boolean(), secret()]).default(false),
  /** Plan of new users, and of keys that belong to nobody. */
  defaultPlan: label().default("trial"),
  /** Days after which a new key is to be rotated; 0 for never, also for keys that are there already. */
  rotateEveryDays: z.int().min(0).max(3650).default(90),
  /** Days for which a key still works after it was rotated, or should have been. */
  overlapDays: z.int().min(0).max(365).default(7),
  /** Wrong keys that one address may try in a minute; after that it gets 429 unless its key is known already. */
  failuresPerMinute: z.int().min(1).max(1_000_000).default(100),
  /**
   * Where a trusted key's call names its end user: headers, and `body.user` for the field of the request. The first that is
   * there counts.
   */
  forwardedUser: z
    .array(z.string().regex(/^(?:body\.user|[a-z0-9-]+)$/))
    .default(["x-user-email", "x-openwebui-user-email", "x-user-id", "x-openwebui-user-id", "body.user"]),
  /** Whether a user whom a trusted key or a token names for the first time is created. Otherwise that call is refused. */
  createUsers: z.boolean().default(true),
  /** Bearer tokens of an identity provider. Without it only keys are taken. */
  jwt: JwtOptions.optional(),
});

export type AuthOptions = z.output<typeof AuthOptions>;
