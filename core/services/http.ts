import { token } from "../di.ts";
import { type PendingResponse, UpstreamClient, type UpstreamRequest } from "../upstream/client.ts";

/** HTTP to the outside: pooled, without redirects or retries. The caller sets the deadline, and gives up with `destroy`. */
export interface HttpClient {
  send(request: UpstreamRequest): PendingResponse;
}

/** For a connection, in ms, where no config says. */
const CONNECT_MS = 3_000;

export const HttpClient = token<HttpClient>("http-client", () => new UpstreamClient({ connectMs: CONNECT_MS }));
