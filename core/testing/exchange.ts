import type { ChatChunk, JsonObject } from "../dialects/canonical.ts";
import type { CanonicalRequest, Operation } from "../dialects/dialect.ts";
import { GatewayError } from "../errors.ts";
import type { Outcome, Reply, Target } from "../exchange.ts";
import { LiveExchange } from "../live-exchange.ts";

export interface ExchangeParts {
  readonly id?: string;
  /** `chat` by default. */
  readonly operation?: Operation;
  /** The client's dialect; `openai-chat` by default. */
  readonly dialect?: string;
  readonly ip?: string;
  /** The client's headers, lower-case names. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Laid over `{ model: "test-model", messages: [{ role: "user", content: "Hello" }] }`. */
  readonly request?: Partial<CanonicalRequest>;
  /** The client's own body; the request by default. */
  readonly wire?: JsonObject;
  /** `test/<the request's model>` by default. */
  readonly targets?: readonly Target[];
  readonly reply?: Reply;
  /** Monotonic ms. */
  readonly startedAt?: number;
}

/** An exchange in memory, with the client's side of it in the test's hands: `abort(reason)` and `settle(outcome)`. */
export class FakeExchange extends LiveExchange {
  constructor(parts: ExchangeParts = {}) {
    const request = Object.freeze({ ...defaultRequest(parts.operation), ...parts.request }) as CanonicalRequest;
    super({
      id: parts.id ?? "req_test",
      operation: parts.operation ?? "chat",
      dialect: parts.dialect ?? "openai-chat",
      client: { ip: parts.ip ?? "127.0.0.1", headers: parts.headers ?? {} },
      startedAt: parts.startedAt ?? 0,
      wire: parts.wire ?? (request as unknown as JsonObject),
      request,
    });
    this.targets = parts.targets ?? [{ provider: "test", model: request.model }];
    this.target = this.targets[0];
    this.reply = parts.reply;
  }

  /** Ends the call as the gateway would; the client has left unless another reason is given. */
  override abort(reason: GatewayError = new GatewayError("client_closed")): void {
    super.abort(reason);
  }

  /** Tells the `onSettled` callbacks; a complete answer without usage unless stated. Throws what any of them threw. */
  override async settle(outcome: Partial<Outcome> = {}, onFault?: (plugin: string, error: unknown) => void): Promise<void> {
    const failures: unknown[] = [];
    const collect = (_plugin: string, error: unknown) => void failures.push(error);
    await super.settle({ kind: "complete", status: 200, usage: null, estimated: false, ...outcome }, onFault ?? collect);
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, "several onSettled callbacks failed");
  }
}

/** An exchange for a unit test, as plain as it gets unless parts are given. */
export function exchange(parts: ExchangeParts = {}): FakeExchange {
  return new FakeExchange(parts);
}

/** Reads a stream to its end. */
export async function collect(stream: AsyncIterable<ChatChunk>): Promise<ChatChunk[]> {
  const chunks: ChatChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** The answer text of canonical chunks, first choice. */
export function textOf(chunks: readonly ChatChunk[]): string {
  return chunks.map((chunk) => chunk.choices.find((choice) => choice.index === 0)?.delta.content ?? "").join("");
}

function defaultRequest(operation: Operation = "chat"): CanonicalRequest {
  if (operation === "embeddings") return { model: "test-model", input: "Hello" };
  return { model: "test-model", messages: [{ role: "user", content: "Hello" }] };
}
