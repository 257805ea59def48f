import { randomUUID } from "node:crypto";
import type { Client } from "pg";
import type { Random } from "../random.ts";
import { connectionSettings } from "./postgres-pool.ts";
import type { Topics } from "./topics.ts";

const CHANNEL = "headgate";
/** First and longest pause before another try to connect, in ms. */
const PAUSE = { first: 250, longest: 5_000 } as const;
/** How often the connection is tried, in ms: a dead one says nothing by itself. */
const PROBE_MS = 10_000;
const STATEMENT_MS = 5_000;
/** PostgreSQL takes no more in one message. */
const BYTES = 7_999;

/** Carries messages between the instances on one database, by LISTEN and NOTIFY. */
export class PostgresListener {
  readonly #url: string;
  readonly #random: Random;
  readonly #topics: Topics;
  /** Marks what came from here, which was told here at once. */
  readonly #origin = randomUUID();
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  #stopped = false;

  constructor(url: string, random: Random, topics: Topics) {
    this.#url = url;
    this.#random = random;
    this.#topics = topics;
  }

  /** The statement that sends a message. Throws on one that is too long. */
  notify(topic: string, message: string): { readonly channel: string; readonly payload: string } {
    const payload = JSON.stringify([this.#origin, topic, message]);
    if (Buffer.byteLength(payload) > BYTES) throw new RangeError(`a message has more than ${BYTES} bytes`);
    return { channel: CHANNEL, payload };
  }

  /** Connects in the background, and again whenever the connection is lost. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#connect(PAUSE.first);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #connect(pause: number): Promise<void> {
    const { default: pg } = await import("pg");
    const client = new pg.Client(await connectionSettings({ url: this.#url, statementMs: STATEMENT_MS }));
    if (this.#stopped) return;
    this.#client = client;
    const lost = (next: number) => {
      if (this.#client !== client || this.#stopped) return;
      this.#client = undefined;
      clearTimeout(this.#timer);
      void client.end().catch(() => undefined);
      const wait = next * (0.5 + this.#random.next() / 2);
      this.#timer = setTimeout(() => void this.#connect(Math.min(next * 2, PAUSE.longest)), wait).unref();
    };
    client.on("error", () => lost(PAUSE.first));
    client.on("end", () => lost(PAUSE.first));
    client.on("notification", ({ payload }) => this.#received(payload ?? ""));
    try {
      await client.connect();
      // The declarations lack it.
      (client as Client & { unref(): void }).unref();
      await client.query(`listen ${CHANNEL}`);
      this.#probe(client, () => lost(PAUSE.first));
      // What was sent while nobody listened here is gone.
      this.#topics.tellAll();
    } catch {
      lost(pause);
    }
  }

  #probe(client: Client, lost: () => void): void {
    this.#timer = setTimeout(
      () => client.query("select 1").then(() => this.#client === client && this.#probe(client, lost), lost),
      PROBE_MS,
    ).unref();
  }

  #received(payload: string): void {
    const [origin, topic, message] = JSON.parse(payload) as [string, string, string];
    if (origin !== this.#origin) this.#topics.tell(topic, message);
  }
}
