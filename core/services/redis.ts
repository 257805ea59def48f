import type { createClient } from "@keyv/redis";
import { Bag } from "../bag.ts";
import type { Clock, Timer } from "./clock.ts";
import { within } from "./deadline.ts";
import type { Logger } from "./logger.ts";

export type RedisClient = ReturnType<typeof createClient>;

/** Most a call waits for Redis: so many turns of so many ms, a tenth of a second. */
const TURNS = 4;
const TURN_MS = 25;
/** Turns after which it is over even when none of them was on time. */
const MOST_TURNS = 6;
/** Failures in a row after which no call asks Redis until a probe in the background got through. */
const FAILURES = 3;
/** First and longest pause between probes, which begin with the first failure; in ms. */
const PAUSE = { first: 250, longest: 5_000 } as const;
/** Shortest time between two log lines, in ms. */
const LOG_EVERY = 30_000;

interface Pending {
  readonly answer: Promise<unknown>;
  place: number;
}

interface Connection {
  readonly client: RedisClient;
  /** Settles when the first attempt to connect has gone one way or the other. */
  readonly tried: Promise<void>;
  destroy(): void;
}

/**
 * One connection to Redis for all who use it, behind a deadline and a breaker of our own. While the breaker is open no
 * call waits: probes in the background, at growing intervals, find out when Redis is back.
 */
export class RedisLink {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pending = new Bag<Pending>();
  #connecting: Promise<Connection> | undefined;
  #connection: Connection | undefined;
  #loaded = false;
  #failures = 0;
  #open = false;
  #stopped = false;
  #probe: Timer | undefined;
  #loggedAt = Number.NEGATIVE_INFINITY;
  #toldAway = false;

  /** Throws on what is no Redis URL, without repeating it: it may hold a password. */
  constructor(url: string, clock: Clock, logger: Logger) {
    if (!/^rediss?:$/.test(URL.parse(url)?.protocol ?? "")) throw new Error("Redis needs a redis:// or rediss:// URL");
    this.#url = url;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Whether the last calls reached Redis. */
  healthy(): boolean {
    return this.#failures === 0 && !this.#open;
  }

  /** Connects in the background. */
  start(): void {
    const probe = () => void this.ask(undefined, (client) => client.ping());
    this.#connected().then(probe, probe);
  }

  /** Waits for what is under way, which its own deadline bounds, then drops the connection. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#probe?.cancel();
    await Promise.allSettled([...this.#pending].map(({ answer }) => answer));
    this.#connection?.destroy();
  }

  /** What `work` gives, or `fallback` when Redis is away, does not answer in time, or says no. */
  async ask<T, Fallback>(fallback: Fallback, work: (client: RedisClient) => Promise<T>): Promise<T | Fallback> {
    if (this.#open || this.#stopped) return fallback;
    // Loading the client itself takes a moment, and says nothing about Redis.
    const loaded = this.#loaded;
    const pending = { answer: this.#within(work), place: -1 };
    this.#pending.add(pending);
    try {
      const value = await pending.answer;
      this.#failures = 0;
      return value;
    } catch (error) {
      if (loaded) this.#failed(error);
      return fallback;
    } finally {
      this.#pending.delete(pending);
    }
  }

  /** A turn that ended late does not count: then this process was busy, and Redis may have answered long ago. */
  async #within<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    const answer = this.#send(work);
    let done = false;
    const end = () => {
      done = true;
    };
    answer.then(end, end);
    for (let all = 1, counted = 1; ; all++) {
      const from = this.#clock.monotonic();
      try {
        return await within(this.#clock, TURN_MS, answer);
      } catch (error) {
        if (done) return answer;
        if (counted === TURNS || all === MOST_TURNS) throw new Error(`no answer within ${TURNS * TURN_MS} ms`, { cause: error });
        if (this.#clock.monotonic() - from < TURN_MS * 1.5) counted += 1;
      }
    }
  }

  async #send<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    const { client, tried } = await this.#connected();
    await tried;
    return work(client);
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    this.#log(error);
    if (this.#stopped) return;
    if (this.#failures >= FAILURES) this.#open = true;
    if (!this.#probe) this.#probeAfter(PAUSE.first);
  }

  #probeAfter(pause: number): void {
    this.#probe = this.#clock.timer(pause, async () => {
      try {
        await this.#within((client) => client.ping());
        this.#recovered();
      } catch (error) {
        this.#log(error);
        if (!this.#stopped) this.#probeAfter(Math.min(pause * 2, PAUSE.longest));
      }
    });
  }

  #recovered(): void {
    this.#probe = undefined;
    this.#failures = 0;
    this.#open = false;
    if (this.#toldAway) this.#logger.info("Redis is back");
    this.#toldAway = false;
  }

  #log(error: unknown): void {
    const now = this.#clock.monotonic();
    if (this.#stopped || now - this.#loggedAt < LOG_EVERY) return;
    this.#loggedAt = now;
    this.#toldAway = true;
    this.#logger.warn({ err: error }, "Redis is away; going on without it");
  }

  #connected(): Promise<Connection> {
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  async #connect(): Promise<Connection> {
    const { createClient } = await import("@keyv/redis").finally(() => {
      this.#loaded = true;
    });
    const client: RedisClient = createClient({
      url: this.#url,
      // Without a connection a command fails at once instead of piling up.
      disableOfflineQueue: true,
      commandsQueueMaxLength: 1_000,
      // A connection that answers nothing for ten seconds, pings included, is given up and made anew.
      pingInterval: 3_000,
      socket: { connectTimeout: 2_000, socketTimeout: 10_000, reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 1_000) },
    });
    client.unref();
    const tried = new Promise<void>((resolve) => {
      client.once("ready", () => resolve());
      client.on("error", (error) => {
        resolve();
        this.#log(error);
      });
    });
    const connection = { client, tried, destroy: () => client.isOpen && client.destroy() };
    if (this.#stopped) return connection;
    this.#connection = connection;
    client.connect().catch((error) => this.#log(error));
    return connection;
  }
}
