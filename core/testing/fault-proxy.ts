import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Scope } from "../di.ts";
import { Clock } from "../services/clock.ts";
import type { Random } from "../services/random.ts";
import { type Faults, Pipe } from "./fault-pipe.ts";
import { FakeRandom } from "./random.ts";

export type Direction = "toServer" | "toClient";

export interface FaultProxyOptions {
  readonly host?: string;
  readonly port: number;
  /** Draws the jitter. */
  readonly random?: Random;
  readonly clock?: Clock;
  /** Sees each piece before its fate is decided, and may change the faults. */
  readonly onData?: (data: Buffer, direction: Direction, proxy: FaultProxy) => void;
}

/** A TCP proxy on loopback that does to a connection what networks do. Faults can be changed at any time; they act on what comes after. */
export class FaultProxy {
  /** Connections accepted so far. */
  accepted = 0;
  /** Bytes passed on so far. */
  readonly passed = { toServer: 0, toClient: 0 };
  readonly #options: FaultProxyOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #faults: Readonly<Record<Direction, Faults>> = { toServer: {}, toClient: {} };

  private constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#clock = options.clock ?? new Scope().get(Clock);
    this.#random = options.random ?? new FakeRandom(1);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await new Promise<void>((resolve, reject) => proxy.#server.once("error", reject).listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections open now. */
  get open(): number {
    return this.#links.size;
  }

  get faults(): Readonly<Record<Direction, Faults>> {
    return this.#faults;
  }

  /** Replaces the faults of a direction, or of both. An empty object heals. */
  set(faults: Faults, direction?: Direction): void {
    this.#faults = direction ? { ...this.#faults, [direction]: faults } : { toServer: faults, toClient: faults };
    for (const link of this.#links) link.wake();
  }

  /** Resets every open connection, on both sides. */
  reset(): void {
    for (const link of this.#links) link.end("reset");
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const links = Array.from(this.#links, (link) => link.closed);
    this.reset();
    await Promise.all([closed, ...links]);
  }

  #accept(client: Socket): void {
    this.accepted += 1;
    const server = connect({ host: this.#options.host ?? "127.0.0.1", port: this.#options.port, allowHalfOpen: true, noDelay: true });
    const pipe = (direction: Direction, from: Socket, to: Socket) =>
      new Pipe(from, to, {
        clock: this.#clock,
        random: this.#random,
        faults: () => this.#faults[direction],
        onData: (data) => this.#options.onData?.(data, direction, this),
        onPassed: (bytes) => {
          this.passed[direction] += bytes;
        },
        cut: (how) => link.end(how),
      });
    const pipes = [pipe("toServer", client, server), pipe("toClient", server, client)];
    const link = new Link(client, server, pipes);
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
    for (const each of pipes) each.wake();
  }
}

/** A client's connection and the one that was made for it. */
class Link {
  /** Both connections are closed. */
  readonly closed: Promise<void>;
  readonly #sockets: readonly Socket[];
  readonly #pipes: readonly Pipe[];

  constructor(client: Socket, server: Socket, pipes: readonly Pipe[]) {
    this.#sockets = [client, server];
    this.#pipes = pipes;
    const closings: Promise<void>[] = [];
    for (const [index, socket] of this.#sockets.entries()) {
      const other = index === 0 ? server : client;
      // A reset on one side becomes one on the other, unless the pipe between them is stalled.
      socket.on("error", () => pipes[index]?.broken(() => other.resetAndDestroy()));
      closings.push(new Promise((resolve) => socket.once("close", () => resolve())));
    }
    this.closed = Promise.all(closings).then(() => {
      for (const pipe of pipes) pipe.stop();
    });
  }

  wake(): void {
    for (const pipe of this.#pipes) pipe.wake();
  }

  end(how: "fin" | "reset"): void {
    for (const pipe of this.#pipes) pipe.stop();
    for (const socket of this.#sockets) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }
}
