import { once } from "node:events";
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { GatewayError } from "../errors.ts";
import { FakeClock } from "../testing/clock.ts";
import { exchange } from "../testing/exchange.ts";
import { ClientWriter } from "./client-writer.ts";

const KB = 1024;

/** A response whose client reads when it is told to. */
async function open() {
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  const asked = once(server, "request") as Promise<[IncomingMessage, ServerResponse]>;
  const answered = once(get({ port: (server.address() as AddressInfo).port, agent: false }), "response") as Promise<[IncomingMessage]>;
  const [, response] = await asked;
  response.writeHead(200).flushHeaders();
  const [client] = await answered;
  const clock = new FakeClock();
  const call = exchange();
  return { response, client, clock, call, writer: new ClientWriter(call, response, { clock, stallMs: 5_000 }) };
}

/** Writes until the kernel takes no more, and not so much that the writer would have to wait. */
async function fill(response: ServerResponse, writer: ClientWriter): Promise<number> {
  let written = 0;
  while ((response.socket?.writableLength ?? 0) < 4 * KB) {
    expect(writer.write("x".repeat(KB))).toBeUndefined();
    written += KB;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return written;
}

async function read(client: IncomingMessage): Promise<{ length: number; broken: boolean }> {
  let length = 0;
  try {
    for await (const piece of client) length += (piece as Buffer).length;
    return { length, broken: false };
  } catch {
    return { length, broken: true };
  }
}

it("has handed over a whole answer only when the client has taken the last of it", async () => {
  const { response, client, clock, writer } = await open();
  const written = await fill(response, writer);
  let ended = false;
  const end = writer.end()?.then(() => {
    ended = true;
  });
  await clock.advance(4_999);
  expect(ended).toBe(false);
  expect(await read(client)).toEqual({ length: written, broken: false });
  await end;
  expect(clock.pending).toBe(0);
});

it("gives up on a client that leaves, or stalls, with the last of its answer on the way", async () => {
  const leaving = await open();
  await fill(leaving.response, leaving.writer);
  const left = leaving.writer.end();
  leaving.client.destroy();
  await expect(left).rejects.toMatchObject({ code: "client_closed" });
  expect(leaving.call.aborted?.code).toBe("client_closed");

  const stalling = await open();
  await fill(stalling.response, stalling.writer);
  const stalled = stalling.writer.end();
  void stalling.clock.advance(5_000);
  await expect(stalled).rejects.toMatchObject({ message: "The client did not read its answer." });
});

it("adds no error to an answer that has been ended, and gives its client a second", async () => {
  const { response, client, clock, call, writer } = await open();
  await fill(response, writer);
  const end = writer.end();
  call.abort(new GatewayError("shutting_down"));
  await expect(end).rejects.toMatchObject({ code: "shutting_down" });
  const broken = writer.breakOff("never seen");
  await clock.advance(1_000);
  await broken;
  expect(response.destroyed).toBe(true);
  expect((await read(client)).broken).toBe(true);
  expect(clock.pending).toBe(0);
});

it("waits piece by piece for the client of a long answer", async () => {
  const { client, clock, writer } = await open();
  const body = Buffer.alloc(16 * KB * KB, "x");
  const whole = writer.whole(body);
  await clock.advance(4_999);
  expect(await read(client)).toEqual({ length: body.length, broken: false });
  await whole;
  expect(clock.pending).toBe(0);
});
