import { type Binding, bind, Scope } from "../di.ts";
import { Clock } from "../services/clock.ts";
import { SqliteDatabase } from "../services/database/sqlite.ts";
import { Database } from "../services/database.ts";
import { Ids } from "../services/ids.ts";
import { KeyValue } from "../services/key-value.ts";
import { Logger } from "../services/logger.ts";
import { Random } from "../services/random.ts";
import { Spools } from "../services/spool.ts";
import { Tokens } from "../services/tokens.ts";
import { FakeClock } from "./clock.ts";
import { FakeIds, FakeRandom } from "./random.ts";

/** One line that was logged. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps what is logged, children's lines included. */
export class FakeLogger implements Logger {
  readonly lines: LogLine[];
  readonly #bound: Readonly<Record<string, unknown>>;
  readonly debug = this.#method("debug");
  readonly info = this.#method("info");
  readonly warn = this.#method("warn");
  readonly error = this.#method("error");

  constructor(lines: LogLine[] = [], bound: Readonly<Record<string, unknown>> = {}) {
    this.lines = lines;
    this.#bound = bound;
  }

  enabled(): boolean {
    return true;
  }

  child(fields: Record<string, unknown>): FakeLogger {
    return new FakeLogger(this.lines, { ...this.#bound, ...fields });
  }

  #method(level: LogLine["level"]): Logger["info"] {
    return (...[first, second]: [message: string] | [fields: Record<string, unknown>, message: string]) => {
      const fields = typeof first === "string" ? {} : first;
      this.lines.push({ level, message: typeof first === "string" ? first : (second as string), fields: { ...this.#bound, ...fields } });
    };
  }
}

/** A store in this process whose entries expire by the given clock; values go through JSON, as in a real one. */
export class FakeKeyValue implements KeyValue {
  /** Set to false for a store that is away. */
  reachable = true;
  readonly #clock: Clock;
  readonly #entries = new Map<string, { readonly json: string; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get<T>(key: string): Promise<T | undefined> {
    const entry = this.reachable ? this.#entries.get(key) : undefined;
    return entry && entry.until > this.#clock.monotonic() ? JSON.parse(entry.json) : undefined;
  }

  async set(key: string, value: unknown, ttl: number): Promise<boolean> {
    if (this.reachable) this.#entries.set(key, { json: JSON.stringify(value), until: this.#clock.monotonic() + ttl });
    return this.reachable;
  }

  async delete(key: string): Promise<boolean> {
    if (this.reachable) this.#entries.delete(key);
    return this.reachable;
  }

  healthy(): boolean {
    return this.reachable;
  }

  async stop(): Promise<void> {
    this.#entries.clear();
  }
}

/** Keeps records until they are asked for, or delivers them as soon as they are there. */
export class FakeSpools implements Spools {
  readonly instance = "ins_test";
  readonly open: Spools["open"] = async ({ deliver }) => {
    let delivered = Promise.resolve();
    let backlog = 0;
    return {
      append: (record) => {
        backlog += 1;
        delivered = delivered
          .then(() => deliver([record]))
          .finally(() => {
            backlog -= 1;
          });
        return true;
      },
      get backlog() {
        return backlog;
      },
      drained: async () => {
        await delivered;
        return true;
      },
      close: async () => delivered,
    };
  };
}

/** Four bytes to a token, of a text or of a request's messages as JSON. */
export const FAKE_TOKENS: Tokens = {
  text: (text) => ({ tokens: Math.ceil(Buffer.byteLength(text) / 4), estimated: false }),
  request: (request) => ({ tokens: Math.ceil(Buffer.byteLength(JSON.stringify(request.messages)) / 4), estimated: false }),
};

/** The services of one gateway, all fake where time, chance or the outside are concerned. */
export interface FakeServices {
  readonly scope: Scope;
  readonly clock: FakeClock;
  readonly random: FakeRandom;
  readonly ids: FakeIds;
  readonly logger: FakeLogger;
  readonly keyValue: FakeKeyValue;
  /** A real one, in memory, without tables until `database.migrate` makes them; opened when it is first asked. */
  readonly database: SqliteDatabase;
}

/** `bindings` win over the fakes. */
export function fakeServices(bindings: readonly Binding[] = [], seed = 1): FakeServices {
  const clock = new FakeClock();
  const [random, logger] = [new FakeRandom(seed), new FakeLogger()];
  const database = new SqliteDatabase(":memory:", new FakeRandom(seed), logger);
  const fakes = { clock, random, ids: new FakeIds(), logger, keyValue: new FakeKeyValue(clock), database };
  const scope = new Scope();
  const defaults = [
    bind(Clock, fakes.clock),
    bind(Random, fakes.random),
    bind(Ids, fakes.ids),
    bind(Logger, fakes.logger),
    bind(KeyValue, fakes.keyValue),
    bind(Database, fakes.database),
    bind(Tokens, FAKE_TOKENS),
    bind(Spools, new FakeSpools()),
  ];
  for (const binding of [...defaults, ...bindings]) scope.bind(binding);
  return { scope, ...fakes };
}
