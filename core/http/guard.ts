import type { IncomingHttpHeaders } from "node:http";
import { token } from "../di.ts";
import type { Caller } from "../exchange.ts";
import { NO_GUARD } from "./no-guard.ts";

/** What a credential is looked for in. */
export interface Credentials {
  /** Lower-case names. */
  readonly headers: IncomingHttpHeaders;
  readonly ip: string;
}

/** Tells who calls the control plane. A plugin that authenticates provides it. */
export interface ApiGuard {
  /** Undefined without credentials. Throws a GatewayError for credentials that are not good (`invalid_api_key`, `account_suspended`, …). */
  identify(credentials: Credentials): Promise<Caller | undefined>;
}

/** Without a plugin that provides it nobody is known, and only callers on this machine may do more than the public. */
export const ApiGuard = token<ApiGuard>("api-guard", () => NO_GUARD);
