import { createHash } from "node:crypto";
import { GatewayError } from "../errors.ts";
import type { Caller } from "../exchange.ts";
import type { KeyValue } from "../services/key-value.ts";
import type { ApiResponse, ApiRoute } from "./api.ts";
import { canonicalJson } from "./canonical-json.ts";

/** How long an answer is kept, in ms. */
const KEPT_MS = 24 * 60 * 60 * 1_000;
/** How long a write that gave no answer keeps others with its key away, in ms. */
const UNDER_WAY_MS = 60_000;

/** What is asked, by whom: the whole of what a repetition has to agree in. */
export interface Write {
  /** The client's `Idempotency-Key`. */
  readonly key: string;
  readonly caller: Caller | undefined;
  readonly ip: string;
  readonly route: ApiRoute;
  readonly params: object;
  readonly query: object;
  readonly body: object;
}

interface Kept {
  /** Digest of params, query and body. */
  readonly request: string;
  /** Absent while the write is under way. */
  readonly answer?: Pick<ApiResponse, "status" | "body">;
  /** Id of what was made by a write whose answer is shown only once; null where it has none. */
  readonly made?: string | null;
}

/**
 * Writes that are done once, however often they are sent with one `Idempotency-Key`. Good answers are kept for 24 hours in
 * the key-value store, so with Redis for all instances; failures are not, and may be tried again. While that store is away
 * a repetition is done again.
 */
export class Idempotency {
  readonly #store: KeyValue;
  /** Writes under way here; the store tells of those elsewhere, but has no step that both looks and marks. */
  readonly #here = new Set<string>();

  constructor(store: KeyValue) {
    this.#store = store;
  }

  /**
   * The answer to a write, or to its first sending. Rejects with `idempotency_conflict` while that is under way, with
   * `idempotency_mismatch` when it asked for something else, with `conflict` when its answer is shown only once.
   */
  async once(write: Write, work: () => Promise<ApiResponse>): Promise<ApiResponse> {
    const { key, caller, ip, route, params, query, body } = write;
    checkKey(key);
    const who = caller?.key ?? caller?.user ?? caller?.name ?? ip;
    const name = `idempotency:api:${digest([who, route.method, route.path, key])}`;
    const request = digest([params, query, body]);
    if (this.#here.has(name)) throw new GatewayError("idempotency_conflict");
    this.#here.add(name);
    try {
      const kept = await this.#store.get<Kept>(name);
      if (kept) return replay(kept, request);
      await this.#store.set(name, { request } satisfies Kept, UNDER_WAY_MS);
      return await this.#first(name, request, route, work);
    } finally {
      this.#here.delete(name);
    }
  }

  async #first(name: string, request: string, route: ApiRoute, work: () => Promise<ApiResponse>): Promise<ApiResponse> {
    let kept: Kept | undefined;
    try {
      const { status = 200, body, ...rest } = await work();
      if (status < 300) kept = route.once ? { request, made: idOf(body) } : { request, answer: { status, body } };
      return { status, body, ...rest };
    } finally {
      if (kept) await this.#store.set(name, kept, KEPT_MS);
      else await this.#store.delete(name);
    }
  }
}

function replay(kept: Kept, request: string): ApiResponse {
  if (kept.request !== request) throw new GatewayError("idempotency_mismatch");
  if (kept.answer) return { ...kept.answer, headers: { "idempotency-replayed": "true" } };
  if (kept.made === undefined) throw new GatewayError("idempotency_conflict");
  const made = kept.made === null ? "" : ` It made ${kept.made}.`;
  throw new GatewayError("conflict", {
    message: `The first request with this idempotency key was carried out.${made} What it answered is shown only once.`,
  });
}

function checkKey(key: string): void {
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return;
  throw new GatewayError("invalid_header", { message: 'The header "idempotency-key" has to be 1 to 255 printable ASCII characters.' });
}

function idOf(body: unknown): string | null {
  const { id } = body as { id?: unknown };
  return typeof id === "string" ? id : null;
}

function digest(parts: readonly unknown[]): string {
  return createHash("sha256").update(canonicalJson(parts)).digest("base64url");
}
