import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "./clock.ts";
import { FaultProxy } from "./fault-proxy.ts";

describe("FaultProxy", () => {
  let clock: FakeClock;
  let server: Server;
  let proxy: FaultProxy;
  let client: Socket;
  let remote: Socket;

  beforeEach(async () => {
    clock = new FakeClock();
    server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    proxy = await FaultProxy.start({ port: (server.address() as AddressInfo).port, clock });
  });
  afterEach(async () => {
    client?.destroy();
    await proxy.close();
    server.close();
    remote?.destroy();
    expect(proxy.open).toBe(0);
    expect(clock.pending).toBe(0);
  });

  async function open(): Promise<void> {
    const accepted = once(server, "connection");
    client = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
    client.on("error", () => undefined);
    [remote] = (await accepted) as [Socket];
    remote.on("error", () => undefined);
  }

  const bytes = async (socket: Socket, count: number) => {
    let all = "";
    while (all.length < count) all += String((await once(socket, "data"))[0]);
    return all;
  };
  const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const turns = async (count = 50) => {
    for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
  };

  it("passes both directions on, ends included, and counts", async () => {
    await open();
    client.end("ping");
    expect(await bytes(remote, 4)).toBe("ping");
    const ended = once(client, "end");
    remote.end("pong!");
    expect(await bytes(client, 5)).toBe("pong!");
    await ended;
    await turns();
    expect(proxy.passed).toEqual({ toServer: 4, toClient: 5 });
    expect([proxy.accepted, proxy.open]).toEqual([1, 0]);
  });

  it("delays by latency and by bandwidth", async () => {
    proxy.set({ latency: 100, bandwidth: 1_000 }, "toServer");
    await open();
    let got = 0;
    remote.on("data", (data) => {
      got += data.length;
    });
    client.write(Buffer.alloc(100));
    await turns();
    await clock.advance(149);
    await turns();
    expect(got).toBe(0);
    await clock.advance(1);
    await turns();
    expect(got).toBe(50);
    await clock.advance(50);
    await turns();
    expect(got).toBe(100);
  });

  it("keeps the order when pieces jitter", async () => {
    proxy.set({ latency: 50, jitter: 40 });
    await open();
    let got = "";
    remote.on("data", (data) => {
      got += data;
    });
    for (const letter of "abcdef") {
      client.write(letter);
      await turns(5);
    }
    await clock.advance(90);
    await turns();
    expect(got).toBe("abcdef");
  });

  it("slices into pieces that arrive one by one", async () => {
    proxy.set({ slice: 2 }, "toClient");
    await open();
    const pieces: string[] = [];
    client.on("data", (data) => pieces.push(String(data)));
    remote.write("abcdefg");
    await turns();
    expect(pieces.join("")).toBe("abcdefg");
    expect(pieces.length).toBeGreaterThan(1);
  });

  it.each(["fin", "reset"] as const)("cuts at an exact byte by %s, on both sides", async (how) => {
    proxy.set({ cut: { at: 5, how } }, "toClient");
    await open();
    let got = "";
    let error: NodeJS.ErrnoException | undefined;
    client.on("data", (data) => {
      got += data;
    });
    client.on("error", (thrown) => {
      error = thrown;
    });
    client.on("end", () => client.end());
    const over = [closed(client), closed(remote)];
    remote.resume().write("hello, world");
    await Promise.all(over);
    expect(got).toBe("hello");
    expect(error?.code).toBe(how === "reset" ? "ECONNRESET" : undefined);
  });

  it("holds everything back while stalled, even the end, and goes on when healed", async () => {
    await open();
    proxy.set({ stall: true });
    let got = "";
    let ended = false;
    remote.on("data", (data) => {
      got += data;
    });
    remote.on("end", () => {
      ended = true;
    });
    client.end("late");
    await turns();
    expect([got, ended, proxy.open]).toEqual(["", false, 1]);
    proxy.set({});
    await once(remote, "end");
    expect(got).toBe("late");
  });

  it("loses what it is told to drop, as soon as a watcher sees what it waits for", async () => {
    await proxy.close();
    proxy = await FaultProxy.start({
      port: (server.address() as AddressInfo).port,
      clock,
      onData: (data, direction, it) => {
        if (direction === "toServer" && data.includes("COMMIT")) it.set({ drop: true }, "toClient");
      },
    });
    await open();
    remote.on("data", (data) => remote.write(`ok ${data};`));
    let got = "";
    client.on("data", (data) => {
      got += data;
    });
    client.write("BEGIN");
    await turns();
    client.write("COMMIT");
    await turns();
    expect(got).toBe("ok BEGIN;");
  });

  it("resets the connections that are open", async () => {
    await open();
    const over = [closed(client), closed(remote)];
    remote.resume();
    client.resume();
    proxy.reset();
    await Promise.all(over);
    expect(proxy.open).toBe(0);
  });

  it("refuses when there is nothing behind it", async () => {
    server.close();
    client = connect(proxy.port, "127.0.0.1");
    const [error] = await once(client, "error");
    expect(error.code).toBe("ECONNRESET");
  });
});
