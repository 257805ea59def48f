import type { IncomingHttpHeaders } from "node:http";
import type { JsonObject } from "../dialects/canonical.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import type { Caller } from "../exchange.ts";
import { isUnavailable } from "../services/database/errors.ts";
import type { Events } from "../services/events.ts";
import type { KeyValue } from "../services/key-value.ts";
import { maskJson, redactFields } from "../services/redact.ts";
import { refusalOf } from "./access.ts";
import type { ApiResponse, ApiRoute } from "./api.ts";
import type { ApiGuard } from "./guard.ts";
import { Idempotency } from "./idempotency.ts";
import { checked, checkParams, queryObject } from "./input.ts";
import { NO_GUARD } from "./no-guard.ts";

const DATABASE_AWAY = "The gateway's database does not answer right now.";

/** One HTTP request to a route. */
export interface ApiCall {
  readonly headers: IncomingHttpHeaders;
  readonly ip: string;
  /** Whether it comes from this machine itself. */
  readonly local: boolean;
  readonly requestId: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
  /** Reads the body; undefined when there is none. */
  body(): Promise<JsonObject | undefined>;
}

/** A call by somebody who may make it, with its input as it came. */
export interface AdmittedCall extends Pick<ApiCall, "ip" | "requestId" | "params" | "signal"> {
  readonly caller: Caller | undefined;
  readonly query: object;
  readonly body: object;
}

export interface ControlPlaneParts {
  readonly guard: ApiGuard;
  readonly events: Events;
  readonly keyValue: KeyValue;
}

/** What stands between a request and the handler of a route: who asks, then what is asked; and who is told of it after. */
export class ControlPlane {
  readonly routes: readonly ApiRoute[];
  readonly #guard: ApiGuard;
  readonly #events: Events;
  readonly #idempotency: Idempotency;

  constructor(routes: readonly ApiRoute[], { guard, events, keyValue }: ControlPlaneParts) {
    this.routes = routes;
    this.#guard = guard;
    this.#events = events;
    this.#idempotency = new Idempotency(keyValue);
  }

  /** Admits a request, then reads and answers it. Rejects with a GatewayError. */
  async answer(route: ApiRoute, call: ApiCall): Promise<ApiResponse> {
    const caller = await this.#admit(route, call);
    const { ip, requestId, params, signal } = call;
    return this.#telling(route, { caller, ip, requestId, params }, async (seen) => {
      const query = queryObject(call.query);
      const body = route.method === "GET" ? {} : ((await call.body()) ?? {});
      seen.body = body;
      const asked = { ip, requestId, params, signal, caller, query, body };
      const work = this.#prepared(route, asked);
      const key = call.headers["idempotency-key"];
      if (typeof key !== "string" || route.method === "GET") return work();
      return this.#idempotency.once({ ...asked, key, route }, work);
    });
  }

  /** Answers somebody who has been admitted already. */
  run(route: ApiRoute, call: AdmittedCall): Promise<ApiResponse> {
    return this.#telling(route, call, async (seen) => {
      seen.body = call.body;
      return this.#prepared(route, call)();
    });
  }

  async #admit(route: ApiRoute, call: ApiCall): Promise<Caller | undefined> {
    if (route.access === "public") return undefined;
    let caller: Caller | undefined;
    try {
      caller = await this.#guard.identify(call);
      const refusal = refusalOf(route.access, { caller, local: call.local, guarded: this.#guard !== NO_GUARD });
      if (refusal) throw refusal;
      return caller;
    } catch (thrown) {
      const error = asGatewayError(thrown);
      if (error.status < 500) this.#tell(route, { ...call, caller }, undefined, error.status, error);
      throw error;
    }
  }

  /** The handler's work, its input checked. */
  #prepared(route: ApiRoute, call: AdmittedCall): () => Promise<ApiResponse> {
    checkParams(call.params);
    const query = checked(route.query, call.query, "query parameter");
    const body = checked(route.body, call.body, "field");
    return async () => {
      try {
        return await route.handle({ ...call, query, body });
      } catch (cause) {
        throw isUnavailable(cause) ? new GatewayError("dependency_unavailable", { message: DATABASE_AWAY, retryAfter: 1, cause }) : cause;
      }
    };
  }

  /** Does what may change something, and emits how it went. */
  async #telling(route: ApiRoute, call: Told, work: (seen: { body?: object }) => Promise<ApiResponse>): Promise<ApiResponse> {
    if (route.method === "GET") return work({});
    const seen: { body?: object } = {};
    try {
      const answer = await work(seen);
      this.#tell(route, call, seen.body, answer.status ?? 200, undefined, route.method === "POST" ? idOf(answer.body) : undefined);
      return answer;
    } catch (thrown) {
      const error = asGatewayError(thrown);
      this.#tell(route, call, seen.body, error.status, error);
      throw thrown;
    }
  }

  #tell(route: ApiRoute, call: Told, body: object | undefined, status: number, error?: GatewayError, made?: string): void {
    const { caller, ip, requestId, params } = call;
    this.#events.emit("api.handled", {
      caller,
      ip,
      requestId,
      method: route.method,
      route: route.path,
      // What is told is kept, and a key may have been taken for an id.
      params: maskJson(params),
      body: body && maskJson(redactFields(body, false)),
      status,
      ...(error && { error: error.code }),
      ...(made !== undefined && { made }),
    });
  }
}

function idOf(body: unknown): string | undefined {
  const { id } = (body ?? {}) as { id?: unknown };
  return typeof id === "string" ? id : undefined;
}

type Told = Pick<AdmittedCall, "caller" | "ip" | "requestId" | "params">;
