import { type Clock, GatewayError, type HttpClient, within } from "headgate";
import type { JSONWebKeySet } from "jose";

/** For one fetch of the keys, in ms. */
const FETCH_MS = 5_000;
/** After this long, in ms, the keys are fetched again in the background. */
const FRESH_MS = 600_000;
/** Between two fetches, in ms, however many unknown keys are named. */
const PAUSE_MS = 30_000;
const LARGEST = 512 * 1024;

/** The public keys that an issuer publishes. Kept when a later fetch fails; fetched by one caller for all. */
export class KeySet {
  readonly #url: string;
  readonly #http: HttpClient;
  readonly #clock: Clock;
  #keys: JSONWebKeySet | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<JSONWebKeySet> | undefined;

  constructor(url: string, http: HttpClient, clock: Clock) {
    this.#url = url;
    this.#http = http;
    this.#clock = clock;
  }

  /** The keys as known; fetched first where there are none yet. Rejects with `dependency_unavailable` when they cannot be had. */
  async get(): Promise<JSONWebKeySet> {
    if (!this.#keys) return this.#fetch();
    if (this.#since() >= FRESH_MS) this.#fetch().catch(() => undefined);
    return this.#keys;
  }

  /** The keys fetched anew, because a token names one that is not among them; undefined when that was done a moment ago. */
  async renew(): Promise<JSONWebKeySet | undefined> {
    return this.#since() < PAUSE_MS ? undefined : this.#fetch();
  }

  #since(): number {
    return this.#clock.monotonic() - this.#fetchedAt;
  }

  #fetch(): Promise<JSONWebKeySet> {
    if (this.#fetching) return this.#fetching;
    const known = this.#keys;
    // Also after a failure there is a pause: tokens alone must not make us hammer the issuer.
    if (this.#since() < PAUSE_MS) return known ? Promise.resolve(known) : Promise.reject(unavailable(undefined));
    this.#fetchedAt = this.#clock.monotonic();
    this.#fetching = this.#load()
      .then((keys) => {
        this.#keys = keys;
        return keys;
      })
      .catch((cause: unknown) => {
        if (known) return known;
        throw unavailable(cause);
      })
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  async #load(): Promise<JSONWebKeySet> {
    const pending = this.#http.send({ method: "GET", url: this.#url, headers: { accept: "application/json" }, body: null });
    try {
      const text = await within(this.#clock, FETCH_MS, read(pending.response));
      const keys: unknown = JSON.parse(text);
      if (isKeySet(keys)) return keys;
    } finally {
      pending.destroy(new GatewayError("upstream_timeout"));
    }
    throw new Error("the address of the key set answered something else");
  }
}

async function read(response: ReturnType<HttpClient["send"]>["response"]): Promise<string> {
  const { status, body } = await response;
  if (status !== 200) throw new Error(`the address of the key set answered with status ${status}`);
  const chunks: Buffer[] = [];
  let length = 0;
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
    length += chunk.length;
    if (length > LARGEST) throw new Error(`the key set is larger than ${LARGEST} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  return typeof value === "object" && value !== null && Array.isArray((value as { keys?: unknown }).keys);
}

function unavailable(cause: unknown): GatewayError {
  return new GatewayError("dependency_unavailable", {
    message: "The keys of the identity provider cannot be had right now.",
    retryAfter: 5,
    cause,
  });
}
