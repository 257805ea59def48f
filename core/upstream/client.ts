/** One HTTP request to a provider. */
export interface UpstreamRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  /** Lower-case names; the complete set that is sent. */
  readonly headers: Record<string, string>;
  readonly body: string | null;
  /** Stream requests have no limit on the whole body, only on silence. */
  readonly stream: boolean;
  readonly timeouts: { readonly connect: number; readonly firstByte: number; readonly idle: number };
}

export interface UpstreamResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: UpstreamBody;
}

/** A response body read piece by piece; not reading holds the sender back. */
export interface UpstreamBody {
  /** The next piece, or null at a clean end. Rejects with a GatewayError when the body breaks off, stalls or is aborted. */
  read(): Promise<Buffer | null>;
  /** Ends the exchange with the provider at once and frees its connection; idempotent. */
  destroy(): void;
}
