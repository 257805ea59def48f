import type { ServerResponse } from "node:http";
import type { ClientDialect, ReplyContext } from "../dialects/dialect.ts";
import { GatewayError } from "../errors.ts";
import type { StreamReply } from "../exchange.ts";
import type { LiveExchange } from "../live-exchange.ts";
import type { Clock } from "../services/clock.ts";
import { UpstreamStream } from "../upstream/stream.ts";

export interface PumpOptions {
  readonly clock: Clock;
  readonly stallMs: number;
  readonly heartbeatMs: number;
  readonly dialect: ClientDialect;
  /** Whether the client asked to be shown usage. */
  readonly showUsage: boolean;
}

/**
 * Writes one committed stream to the client, piece by piece, never faster than the client reads. Resolves when the whole
 * answer is written; rejects with a GatewayError when it broke off, having told the client so in its own dialect.
 * The response's head has been written before.
 */
export async function pump(exchange: LiveExchange, reply: StreamReply, response: ServerResponse, options: PumpOptions): Promise<void> {
  const { clock, dialect } = options;
  const heartbeat = clock.timer(options.heartbeatMs, () => {
    if (!response.writableNeedDrain && response.writable) response.write(": keep-alive\n\n");
    heartbeat.refresh();
  });
  const write = (piece: Buffer | string): Promise<void> | undefined => {
    heartbeat.refresh();
    return response.write(piece) ? undefined : drained(exchange, response, options);
  };
  try {
    const { stream } = reply;
    if (stream instanceof UpstreamStream && stream.dialect === exchange.dialect) {
      for (;;) {
        const piece = await stream.bytes(options.showUsage);
        if (!piece) break;
        const wait = write(piece);
        if (wait) await wait;
      }
    } else {
      const context: ReplyContext = { requestId: exchange.id, request: exchange.original };
      const writer = dialect.streamWriter(context);
      for await (const chunk of stream) {
        if (exchange.aborted) throw exchange.aborted;
        const text = writer.write(chunk);
        const wait = text === "" ? undefined : write(text);
        if (wait) await wait;
      }
      response.write(writer.end());
    }
    if (exchange.aborted) throw exchange.aborted;
    heartbeat.cancel();
    response.end();
  } catch (thrown) {
    heartbeat.cancel();
    const error = exchange.aborted ?? (thrown instanceof GatewayError ? thrown : new GatewayError("internal_error", { cause: thrown }));
    exchange.abort(error);
    exchange.upstream?.destroy();
    if (response.writableNeedDrain) response.destroy();
    else if (response.writable) response.end(dialect.errorEvent(error, exchange.id));
    throw error;
  }
}

/** Resolves when the client has read on; rejects when it left, when the call was aborted, or when it did not read for `stallMs`. */
function drained(exchange: LiveExchange, response: ServerResponse, { clock, stallMs }: PumpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    if (exchange.aborted) return reject(exchange.aborted);
    const stall = clock.timer(stallMs, () =>
      exchange.abort(new GatewayError("client_closed", { message: "The client did not read its answer." })),
    );
    const done = (error?: GatewayError) => {
      stall.cancel();
      forget();
      response.removeListener("drain", done);
      if (error) reject(error);
      else resolve();
    };
    const forget = exchange.onAbort(done);
    response.once("drain", done);
  });
}
