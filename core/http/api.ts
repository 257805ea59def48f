import type { z } from "zod";
import type { Caller, Role } from "../exchange.ts";

/**
 * Who may call a route. `public`: anyone. `operator`: whoever may see the gateway's inside: a caller on this machine, or
 * one with the role `viewer` or above. A role: an authenticated caller who has it, or one above it; where no plugin
 * authenticates, a caller on this machine.
 */
export type Access = "public" | "operator" | Role;

/**
 * An HTTP route outside the data plane. The core mounts it behind the guard that `access` names, checks query and body
 * against their strict schemas, describes it in the OpenAPI document, and offers it as a command. `handle` may be called
 * before the plugin was started (by a command), so it relies on nothing but the database.
 */
export interface ApiRoute {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/metrics`, `/api/users/:id`, … with `:name` for parameters. */
  readonly path: string;
  readonly access: Access;
  /** One line for the documentation. A route without one is left out of it. */
  readonly summary?: string;
  /** The words after `headgate` that call it, such as `keys create`. Parameters of the path come next, in order; query and body are flags. */
  readonly command?: string;
  /** A strict object of texts; coerce what is a number. */
  readonly query?: z.ZodObject;
  /** A strict object. Without one the route takes no body. */
  readonly body?: z.ZodObject;
  /** What a good answer holds. */
  readonly reply?: z.ZodType;
  /** Says that the answer holds a secret which is shown only once, so that it is not kept for an `Idempotency-Key`. */
  readonly once?: boolean;
  handle(request: ApiRequest): Promise<ApiResponse> | ApiResponse;
}

/** A route whose handler sees its query and body as the schemas give them. */
export interface TypedRoute<Query extends z.ZodObject, Body extends z.ZodObject> extends Omit<ApiRoute, "query" | "body" | "handle"> {
  readonly query?: Query;
  readonly body?: Body;
  handle(request: ApiRequest<z.output<Query>, z.output<Body>>): Promise<ApiResponse> | ApiResponse;
}

/** Types a route by its own schemas. */
export function apiRoute<Query extends z.ZodObject = z.ZodObject, Body extends z.ZodObject = z.ZodObject>(
  route: TypedRoute<Query, Body>,
): ApiRoute {
  return route as unknown as ApiRoute;
}

export interface ApiRequest<Query = Record<string, unknown>, Body = Record<string, unknown>> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Undefined on routes that anyone may call, and for a caller on this machine who named no credentials. */
  readonly caller: Caller | undefined;
  readonly ip: string;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export interface ApiResponse {
  /** 200 by default. */
  readonly status?: number;
  /** An object is sent as JSON, a string as `type`, an iterable of strings piece by piece as `type`. */
  readonly body: unknown;
  /** Content type of a text. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
