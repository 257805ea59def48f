import type { ServerResponse } from "node:http";
import type { ChatChunk } from "../dialects/canonical.ts";
import type { ClientDialect, ReplyContext } from "../dialects/dialect.ts";
import { GatewayError } from "../errors.ts";
import type { StreamReply } from "../exchange.ts";
import type { LiveExchange } from "../live-exchange.ts";
import { UpstreamStream } from "../upstream/stream.ts";
import { ClientWriter, type ClientWriterOptions } from "./client-writer.ts";

export interface PumpOptions extends ClientWriterOptions {
  readonly heartbeatMs: number;
  readonly dialect: ClientDialect;
  /** Whether the client asked to be shown usage. */
  readonly showUsage: boolean;
}

/**
 * Writes one committed stream to the client, piece by piece, at the client's own pace. Resolves when the whole answer is
 * handed over; rejects with a GatewayError when it broke off, having told the client so in its own dialect. The response's
 * head has been written before.
 */
export async function pump(exchange: LiveExchange, reply: StreamReply, response: ServerResponse, options: PumpOptions): Promise<void> {
  const { clock, dialect } = options;
  const client = new ClientWriter(exchange, response, options);
  const heartbeat = clock.timer(options.heartbeatMs, () => {
    if (client.ready) response.write(": keep-alive\n\n");
    heartbeat.refresh();
  });
  const write = (piece: Buffer | string): Promise<void> | undefined => {
    heartbeat.refresh();
    return client.write(piece);
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
      for await (const chunk of stream instanceof UpstreamStream ? stream : untilAborted(stream, exchange)) {
        if (exchange.aborted) throw exchange.aborted;
        const text = writer.write(chunk);
        const wait = text === "" ? undefined : write(text);
        if (wait) await wait;
      }
      const wait = write(writer.end());
      if (wait) await wait;
    }
    if (exchange.aborted) throw exchange.aborted;
    heartbeat.cancel();
    await client.end();
  } catch (thrown) {
    heartbeat.cancel();
    const error = exchange.aborted ?? (thrown instanceof GatewayError ? thrown : new GatewayError("internal_error", { cause: thrown }));
    exchange.abort(error);
    exchange.upstream?.destroy();
    if (error.code !== "client_closed") await client.breakOff(dialect.errorEvent(error, exchange.id));
    throw error;
  }
}

/** A plugin's own stream may not notice that the call was aborted; it is not waited for then, only told to stop. */
async function* untilAborted(stream: AsyncIterable<ChatChunk>, exchange: LiveExchange): AsyncGenerator<ChatChunk> {
  const iterator = stream[Symbol.asyncIterator]();
  for (;;) {
    const step = await new Promise<IteratorResult<ChatChunk>>((resolve, reject) => {
      const stop = (reason: GatewayError) => {
        reject(reason);
        iterator.return?.().catch(ignore);
      };
      const forget = exchange.onAbort(stop);
      iterator.next().then(resolve, reject).finally(forget);
    });
    if (step.done) return;
    yield step.value;
  }
}

/** The call has failed already; how its stream takes that is of no more interest. */
function ignore(): void {}
