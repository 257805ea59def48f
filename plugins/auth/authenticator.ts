import { GatewayError } from "headgate";
import type { Failures } from "./failures.ts";
import type { Identities } from "./identities.ts";
import type { Identity } from "./identity.ts";
import { hashOf, LONGEST_KEY, looksLikeKey, tailOf } from "./key.ts";

type Headers = Readonly<Record<string, string | string[] | undefined>>;

const SOURCES = ["authorization", "x-api-key", "api-key", "x-goog-api-key"] as const;
const HOW = 'Send one as "authorization: Bearer …", "x-api-key", "api-key" or "x-goog-api-key".';

/** Checks tokens that are no keys. */
export interface TokenReader {
  /** Whether a credential is one of its kind. */
  reads(credential: string): boolean;
  /** Whose token it is, by its hash, when that is known without waiting. */
  recall(hash: string): Identity | undefined;
  /** Whose it is; undefined when it is not good. */
  verify(token: string, hash: string): Promise<Identity | undefined>;
}

/** Says whose credential it is. */
export class Authenticator {
  readonly #keys: Identities;
  readonly #failures: Failures;
  readonly #tokens: TokenReader | undefined;
  #development: { readonly hash: string; readonly identity: Identity } | undefined;

  constructor(keys: Identities, failures: Failures, tokens: TokenReader | undefined) {
    this.#keys = keys;
    this.#failures = failures;
    this.#tokens = tokens;
  }

  /** Takes this key as well, which stands in no table. */
  admit(key: string, identity: Identity): void {
    this.#development = { hash: hashOf(key), identity };
  }

  /** At once for whoever is known. Throws, or rejects with, a GatewayError for a credential that is not good. */
  identify(credential: string, ip: string): Identity | Promise<Identity> {
    const isToken = this.#tokens?.reads(credential) === true;
    if (!isToken && credential.length > LONGEST_KEY) return this.#refuse(credential, ip);
    const hash = hashOf(credential);
    const known = isToken ? this.#tokens?.recall(hash) : this.#keys.recall(hash);
    if (known) return known;
    if (hash === this.#development?.hash) return this.#development.identity;
    this.#failures.check(ip);
    if (isToken && this.#tokens) return this.#look(this.#tokens.verify(credential, hash), credential, ip);
    if (known === null || !looksLikeKey(credential)) return this.#refuse(credential, ip);
    return this.#look(this.#keys.find(hash), credential, ip);
  }

  async #look(finding: Promise<Identity | undefined>, credential: string, ip: string): Promise<Identity> {
    return (await finding) ?? this.#refuse(credential, ip);
  }

  #refuse(credential: string, ip: string): never {
    this.#failures.check(ip);
    this.#failures.count(ip);
    throw new GatewayError("invalid_api_key", { message: `The API key ${tailOf(credential)} is not known here.`, headers: CHALLENGE });
  }
}

const CHALLENGE = { "www-authenticate": "Bearer" };

/** The credential among the headers; the core has seen to it that they name no two different ones. */
export function credentialOf(headers: Headers): string | undefined {
  for (const source of SOURCES) {
    const value = headers[source];
    if (typeof value !== "string" || value === "") continue;
    if (source !== "authorization") return value;
    if (/^bearer +/i.test(value)) return value.slice(value.indexOf(" ")).trimStart();
  }
  return undefined;
}

export function missingCredential(): GatewayError {
  return new GatewayError("invalid_api_key", { message: `No API key was sent. ${HOW}`, headers: CHALLENGE });
}
