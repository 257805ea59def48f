/** The provider at the far end: answers at once, streams at a set pace, refuses a request that did not arrive whole. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { setImmediate, setTimeout } from "node:timers/promises";
import { answer, CHUNKS, frames, MODEL, readRequest } from "./payload.ts";
import { answerParent } from "./talk.ts";

let paceMs = 10;
let held: { promise: Promise<void>; resolve: () => void } | undefined;

async function stream(response: ServerResponse, number: number): Promise<void> {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-request-id": `req_${number}`,
  });
  for (const [index, frame] of frames(number).entries()) {
    if (index === CHUNKS / 2) await held?.promise;
    // The first content follows the role at once; only what comes after it is paced.
    if (index > 1) await setTimeout(paceMs);
    else await setImmediate();
    if (response.destroyed) return;
    if (!response.write(frame)) await Promise.race([once(response, "drain"), once(response, "close")]);
  }
  response.end();
}

const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    const asked = request.method === "POST" ? readRequest(Buffer.concat(pieces).toString()) : null;
    if (asked?.stream) return void stream(response, asked.number);
    const body = asked ? answer(asked.number) : JSON.stringify({ object: "list", data: [{ id: MODEL, object: "model" }] });
    const status = asked || request.method === "GET" ? 200 : 400;
    response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  });
});

answerParent({
  listen: (port: number) => once(server.listen(port, "127.0.0.1"), "listening").then(() => true),
  /** Milliseconds between two frames of a stream. */
  pace(ms: number) {
    paceMs = ms;
  },
  /** Streams halt in the middle from now on. */
  hold() {
    held = Promise.withResolvers<void>();
  },
  release() {
    held?.resolve();
    held = undefined;
  },
});
