/** An HTTP route outside the data plane, mounted by the core behind the guard it names. */
export interface ApiRoute {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/metrics`, `/api/models`, … with `:name` for parameters. */
  readonly path: string;
  /** `public` answers anyone, `operator` only callers that may see the gateway's inside (loopback, until a plugin guards it). */
  readonly access: "public" | "operator";
  handle(request: ApiRequest): Promise<ApiResponse> | ApiResponse;
}

export interface ApiRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown;
  readonly signal: AbortSignal;
}

export interface ApiResponse {
  readonly status?: number;
  /** An object is sent as JSON, a string as `type`. */
  readonly body: unknown;
  /** Content type of a string body. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}
