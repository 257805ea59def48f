import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { bind, HttpClient, type PendingResponse, type UpstreamBody } from "headgate";
import { exportJWK, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { AuthRig, onDatabases } from "../../test/support/auth-rig.ts";
import { AuthOptions } from "./options.ts";

const ISSUER = "https://login.example";
const NOW = Date.parse("2026-01-01T00:00:00Z") / 1000;
const SECRET = "a secret that is long enough for it";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = (key: KeyObject) => key.export({ type: "spki", format: "pem" }) as string;

const base = { issuer: ISSUER, audience: "headgate" };
const hs256 = { ...base, algorithms: ["HS256" as const], secret: SECRET };
const rs256 = { ...base, algorithms: ["RS256" as const], publicKey: pem(rsa.publicKey) };

interface TokenParts {
  readonly alg?: string;
  readonly key?: KeyObject | Uint8Array;
  readonly kid?: string;
  readonly claims?: Record<string, unknown>;
}

function token({ alg = "HS256", key = Buffer.from(SECRET), kid, claims = {} }: TokenParts = {}): Promise<string> {
  const all = { iss: ISSUER, aud: "headgate", sub: "alice", iat: NOW, exp: NOW + 3_600, ...claims };
  return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg, ...(kid ? { kid } : {}) })
    .sign(key);
}

/** An identity provider that publishes keys, and can be away or slow. */
class Issuer implements HttpClient {
  keys: unknown[] = [];
  asked = 0;
  state: "there" | "away" | "hang" = "there";

  send(): PendingResponse {
    this.asked += 1;
    const chunks = [Buffer.from(JSON.stringify({ keys: this.keys }))];
    const body = { read: async () => chunks.shift() ?? null, destroy() {} } satisfies UpstreamBody;
    const answers = {
      there: () => Promise.resolve({ status: 200, headers: {}, body }),
      away: () => Promise.reject(new Error("connection refused")),
      hang: () => new Promise<never>(() => undefined),
    };
    return { response: answers[this.state](), destroy() {} };
  }

  async publish(...keys: [kid: string, key: KeyObject][]): Promise<void> {
    this.keys = await Promise.all(keys.map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid, use: "sig" })));
  }
}

onDatabases((open) => {
  const rigWith = async (jwt: Parameters<typeof AuthOptions.parse>[0] & object, issuer = new Issuer()) =>
    new AuthRig(await open(), { jwt: jwt as never, failuresPerMinute: 10_000 }, [bind(HttpClient, issuer)]);

  describe("a token of an identity provider", () => {
    it("lets its user in, who is created on first sight and kept by the subject", async () => {
      const rig = await rigWith(hs256);
      const one = await rig.who(await token({ claims: { email: "Alice@Example.com", name: "Alice" } }));
      expect(one).toEqual({
        user: expect.stringMatching(/^usr_/),
        key: null,
        team: null,
        plan: "trial",
        segment: "standard",
        role: "user",
        name: "alice@example.com",
      });
      const { user } = one as { user: string };
      expect(await rig.who(await token({ claims: { email: "alice@new.example" } }))).toMatchObject({ user });
      expect(await rig.who(await token({ claims: { sub: "bob" } }))).not.toMatchObject({ user });
      expect(await rig.api("GET", `/api/users/${user}`)).toMatchObject({ external_id: "jwt/alice", name: "Alice" });
    });

    it("of somebody whose address is known is that user's, unless it was not verified or is another's", async () => {
      const rig = await rigWith(hs256);
      const { id } = await rig.user({ email: "alice@example.com", plan: "pro" });
      const unverified = await rig.who(await token({ claims: { sub: "mallory", email: "alice@example.com", email_verified: false } }));
      expect(unverified).toMatchObject({ user: expect.not.stringMatching(id), plan: "trial" });
      expect(await rig.who(await token({ claims: { email: "alice@example.com" } }))).toMatchObject({ user: id, plan: "pro" });
      expect(await rig.who(await token({ claims: { sub: "heir", email: "alice@example.com" } }))).not.toMatchObject({ user: id });
      expect(await rig.who(await token({ claims: { email: undefined } }))).toMatchObject({ user: id });
    });

    it("may say plan, team and role, where the config names the claims", async () => {
      const claims = { plan: "tier", team: "group", role: "grade" };
      const said = { tier: "enterprise", group: "research", grade: "manager" };
      expect(await (await rigWith({ ...hs256, claims })).who(await token({ claims: said }))).toMatchObject({
        plan: "enterprise",
        team: "research",
        role: "manager",
      });
      expect(await (await rigWith({ ...hs256, claims })).who(await token({ claims: { grade: "root", tier: 7 } }))).toMatchObject({
        plan: "trial",
        role: "user",
      });
      expect(await (await rigWith(hs256)).who(await token({ claims: { ...said, role: "admin", plan: "pro" } }))).toMatchObject({
        plan: "trial",
        role: "user",
      });
    });

    it("is checked once, and then works until it ends, to the second", async () => {
      const rig = await rigWith({ ...hs256, clockToleranceSeconds: 0 });
      const text = await token({ claims: { exp: NOW + 600 } });
      await rig.who(text);
      await rig.clock.advance(599_999);
      expect(await rig.outcome(text)).toBe("ok");
      await rig.clock.advance(1);
      expect(await rig.outcome(text)).toBe("invalid_api_key");
    });

    it("of a user who was suspended is refused, also when it was just used", async () => {
      const rig = await rigWith(hs256);
      const text = await token();
      const { user } = (await rig.who(text)) as { user: string };
      await rig.api("POST", `/api/users/${user}/suspend`, { body: { reason: "left" } });
      expect((await rig.call({ authorization: `Bearer ${text}` })).error).toMatchObject({ code: "account_suspended" });
    });

    it("is told from a key, which works beside it", async () => {
      const rig = await rigWith(hs256);
      expect(await rig.outcome((await rig.key()).key)).toBe("ok");
    });
  });

  describe("a token that is not good", () => {
    const none = (claims: object) => {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
      return `${part({ alg: "none" })}.${part({ iss: ISSUER, aud: "headgate", sub: "alice", exp: NOW + 600, ...claims })}.`;
    };

    /** Signed with the public key as if it were a shared secret. */
    const confused = () => {
      const text = none({}).slice(0, -1).split(".");
      const head = Buffer.from(JSON.stringify({ alg: "HS256" })).toString("base64url");
      const signature = createHmac("sha256", pem(rsa.publicKey)).update(`${head}.${text[1]}`).digest("base64url");
      return `${head}.${text[1]}.${signature}`;
    };

    it.each([
      ["another secret", () => token({ key: Buffer.from("another secret of the same length") })],
      ["another issuer", () => token({ claims: { iss: "https://evil.example" } })],
      ["another audience", () => token({ claims: { aud: "another" } })],
      ["no end", () => token({ claims: { exp: undefined } })],
      ["an end that has passed", () => token({ claims: { exp: NOW - 31 } })],
      ["a beginning that is to come", () => token({ claims: { nbf: NOW + 31 } })],
      ["no subject", () => token({ claims: { sub: undefined } })],
      ["an algorithm that is not pinned", () => token({ alg: "RS256", key: rsa.privateKey })],
      ["another length of the same algorithm", () => token({ alg: "HS512" })],
      ["no signature at all", async () => none({})],
      ["a changed payload", async () => (await token()).replace(/\.[^.]*\./, `.${none({ sub: "boss" }).split(".")[1]}.`)],
      ["a signature cut short", async () => (await token()).slice(0, -4)],
      ["too many characters", () => token({ claims: { more: "x".repeat(9_000) } })],
    ])("is refused: %s", async (_, make) => expect(await (await rigWith(hs256)).outcome(await make())).toBe("invalid_api_key"));

    it.each([
      ["the public key taken for a secret", async () => confused()],
      ["another key", () => token({ alg: "RS256", key: other.privateKey })],
      ["another kind of key", () => token({ alg: "ES256", key: ec.privateKey })],
    ])("is refused: %s", async (_, make) => {
      expect(await (await rigWith(rs256)).outcome(await make())).toBe("invalid_api_key");
      expect(await (await rigWith({ ...rs256, algorithms: ["RS256", "ES256"] })).outcome(await make())).toBe("invalid_api_key");
      expect(await (await rigWith(rs256)).outcome(await token({ alg: "RS256", key: rsa.privateKey }))).toBe("ok");
    });

    it("that only begins like a good one is refused while that one is warm", async () => {
      const rig = await rigWith(hs256);
      const text = await token();
      expect(await rig.outcome(text)).toBe("ok");
      for (const near of [text.slice(0, -2), `${text}A`, `${text} `, `${text}\n`, text.replace(".", ". "), text.toUpperCase()]) {
        expect(await rig.outcome(near), near.slice(-3)).toBe("invalid_api_key");
      }
    });
  });

  describe("keys that the issuer publishes", () => {
    const options = { ...base, algorithms: ["RS256", "ES256"], jwksUrl: `${ISSUER}/keys` };
    const issuing = async (...keys: [string, KeyObject][]) => {
      const issuer = new Issuer();
      await issuer.publish(...keys);
      return { issuer, rig: await rigWith(options, issuer) };
    };

    it("are fetched once for many, and kept", async () => {
      const { issuer, rig } = await issuing(["one", rsa.publicKey], ["two", ec.publicKey]);
      const texts = await Promise.all([
        token({ alg: "RS256", key: rsa.privateKey, kid: "one" }),
        token({ alg: "ES256", key: ec.privateKey, kid: "two" }),
        token({ alg: "RS256", key: rsa.privateKey, kid: "one", claims: { jti: "2" } }),
      ]);
      expect(await Promise.all(texts.map((text) => rig.outcome(text)))).toEqual(["ok", "ok", "ok"]);
      expect(issuer.asked).toBe(1);
    });

    it("are fetched again when a token names a new one, but not for every token that does", async () => {
      const { issuer, rig } = await issuing(["one", rsa.publicKey]);
      expect(await rig.outcome(await token({ alg: "RS256", key: rsa.privateKey, kid: "one" }))).toBe("ok");
      await issuer.publish(["three", other.publicKey]);
      const late = await token({ alg: "RS256", key: other.privateKey, kid: "three" });
      for (let at = 0; at < 20; at++)
        expect(await rig.outcome(await token({ alg: "RS256", key: rsa.privateKey, kid: `x${at}` }))).toBe("invalid_api_key");
      expect(issuer.asked).toBe(1);
      await rig.clock.advance(30_000);
      expect(await rig.outcome(late)).toBe("ok");
      expect(issuer.asked).toBe(2);
    });

    it("go on counting while the issuer is away; without any, its tokens get 503", async () => {
      const { issuer, rig } = await issuing(["one", rsa.publicKey]);
      const text = (claims = {}) => token({ alg: "RS256", key: rsa.privateKey, kid: "one", claims: { exp: NOW + 86_400, ...claims } });
      expect(await rig.outcome(await text())).toBe("ok");
      issuer.state = "away";
      await rig.clock.advance(3_600_000);
      expect(await rig.outcome(await text({ jti: "2" }))).toBe("ok");
      const lone = await rigWith(options, Object.assign(new Issuer(), { state: "away" }));
      expect(await lone.outcome(await text())).toBe("dependency_unavailable");
    });

    it("are waited for five seconds at most", async () => {
      const rig = await rigWith(options, Object.assign(new Issuer(), { state: "hang" }));
      const text = await token({ alg: "RS256", key: rsa.privateKey, kid: "one" });
      expect(await rig.clock.runUntil(rig.outcome(text))).toBe("dependency_unavailable");
      expect(rig.clock.monotonic()).toBe(5_000);
    });
  });
});

describe("the options of tokens", () => {
  it.each([
    ["no source of keys", { ...base, algorithms: ["RS256"] }],
    ["two sources of keys", { ...hs256, publicKey: "x" }],
    ["HS256 with a public key", { ...rs256, algorithms: ["HS256"] }],
    ["HS256 among public keys", { ...rs256, algorithms: ["RS256", "HS256"] }],
    ["RS256 with a secret", { ...hs256, algorithms: ["RS256"] }],
    ["no algorithm", { ...hs256, algorithms: [] }],
    ["the algorithm none", { ...hs256, algorithms: ["none"] }],
    ["no issuer", { ...hs256, issuer: undefined }],
    ["a secret too short", { ...hs256, secret: "short" }],
  ])("refuse %s", (_, jwt) => expect(AuthOptions.safeParse({ jwt }).success).toBe(false));
});
