import type { GatewayError } from "../errors.ts";
import type {
  ChatChunk,
  ChatReply,
  ChatRequest,
  CountReply,
  EmbeddingsReply,
  EmbeddingsRequest,
  Json,
  JsonObject,
  Usage,
} from "./canonical.ts";
import type { Frame } from "./sse.ts";

/** What a client can ask for. */
export type Operation = "chat" | "embeddings" | "count_tokens" | "models";

export type CanonicalRequest = ChatRequest | EmbeddingsRequest;
export type CanonicalReply = ChatReply | EmbeddingsReply | CountReply | JsonObject;

/**
 * One wire format, readable both ways. The client half reads requests and writes replies; the upstream half writes
 * requests and reads replies. Any client half works with any upstream half through the canonical form.
 */
export interface Dialect {
  readonly name: string;
  readonly client?: ClientDialect;
  readonly upstream?: UpstreamDialect;
}

export interface Route {
  readonly method: "GET" | "POST";
  /** Exact path; clients' base URLs end in `/v1` or at the root. */
  readonly path: string;
  readonly operation: Operation;
}

export interface ClientDialect {
  readonly routes: readonly Route[];
  /**
   * Checks a parsed body and turns it into the canonical request. Throws GatewayError `invalid_request` with `param`
   * naming the field. What the canonical form cannot express is kept (`ForeignPart`, `foreign`) and refused or dropped
   * later, when the target is known.
   */
  readRequest(operation: Operation, body: JsonObject): CanonicalRequest;
  /** The whole answer as this dialect writes it. */
  writeReply(operation: Operation, reply: CanonicalReply, context: ReplyContext): JsonObject;
  /** A writer for one stream. */
  streamWriter(context: ReplyContext): StreamWriter;
  /** Where the client wrote what stands at a path of the canonical request; the same path where this is absent. */
  ownPath?(path: string): string;
  /** An error body as this dialect's SDKs expect it. */
  errorBody(error: GatewayError, requestId: string): JsonObject;
  /** An error event for a stream that has already begun; the stream then ends without its terminator. */
  errorEvent(error: GatewayError, requestId: string): string;
}

export interface ReplyContext {
  readonly requestId: string;
  /** The canonical request, as the client sent it. */
  readonly request: CanonicalRequest;
}

/** Writes one canonical stream as SSE text. */
export interface StreamWriter {
  /** SSE text for one chunk; may be empty. */
  write(chunk: ChatChunk): string;
  /** What closes a whole answer: closing events and the terminator. */
  end(): string;
}

/** A field of the client's request that the target does not take but that does not change what is answered. */
export interface WrittenRequest {
  readonly body: JsonObject;
  /** Paths of fields left out on purpose; shown in `x-headgate-dropped` and noted. */
  readonly dropped: readonly string[];
}

export interface UpstreamDialect {
  /** Client headers (lower-case) passed on to a provider when the client speaks this dialect too, such as beta flags. */
  readonly forwardedHeaders?: readonly string[];
  /** Path below the provider's base URL, or null when the format has no such operation. */
  path(operation: Operation, model: string, stream: boolean): string | null;
  /**
   * The canonical request in this format, for `model`. Throws GatewayError `unsupported_parameter` naming the field
   * that cannot be expressed. Always asks a stream for usage.
   */
  writeRequest(operation: Operation, request: CanonicalRequest, model: string): WrittenRequest;
  /**
   * The client's own body of this same dialect, unknown fields intact, with `model` set and the top-level fields that
   * differ between `original` and `request` (what plugins changed) written anew.
   */
  patchRequest(
    operation: Operation,
    wire: JsonObject,
    original: CanonicalRequest,
    request: CanonicalRequest,
    model: string,
  ): WrittenRequest;
  /** Throws GatewayError `upstream_invalid` when the body is not what this format promises. */
  readReply(operation: Operation, body: JsonObject, request: CanonicalRequest): CanonicalReply;
  /** Usage of a whole reply in this format, or null when it states none (or nonsense: negative, fractional, not a number). */
  readUsage(operation: Operation, body: JsonObject): Usage | null;
  streamReader(context: { readonly model: string; readonly request: CanonicalRequest }): StreamReader;
  /** What an error body says; every field optional, nothing trusted. */
  readError(status: number, body: Json): UpstreamErrorInfo;
}

export interface UpstreamErrorInfo {
  readonly message?: string;
  readonly type?: string;
  readonly code?: string;
  readonly param?: string;
}

/**
 * What one frame is, told by the cheapest look that suffices:
 * - `lifecycle`: nothing the client would see as an answer (role, message_start, ping); held back until content comes
 * - `content`: commits the answer
 * - `usage`: only usage, which a client that did not ask for it must not see
 * - `end`: the terminator; whatever follows is ignored
 * - `error`: the provider reports failure; `error` then says what
 */
export type FrameKind = "lifecycle" | "content" | "usage" | "end" | "error";

/** Reads one upstream stream. `inspect` is called for each frame in order; `decode` only when chunks are needed, right after it. */
export interface StreamReader {
  inspect(frame: Frame): FrameKind;
  /** The frame as canonical chunks, with ids, model and indices consistent over the stream; may be empty. */
  decode(frame: Frame): ChatChunk[];
  /** Latest usage the provider stated, sanitised. */
  readonly usage: Usage | null;
  /** Set after `inspect` answered `error`. */
  readonly error: UpstreamErrorInfo | null;
  /** UTF-8 bytes of answer text, reasoning and tool arguments seen so far: the basis of an estimate when the stream is cut. */
  readonly outputBytes: number;
  /** True when a clean end of the body after the last frame means a whole answer (formats without a terminator). */
  readonly endsWithBody: boolean;
}
