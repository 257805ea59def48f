import { Clock, Database, Ids, Logger, token } from "headgate";
import type { Moment } from "./identity.ts";
import { type FoundKey, Keys } from "./keys.ts";
import { LookUp } from "./look-up.ts";
import { profileOf } from "./people.ts";
import type { UserRow } from "./tables.ts";
import { Users } from "./users.ts";

const TOPIC = "auth";
/** Between two log lines about the same outage, in ms. */
const SILENT_MS = 30_000;

export interface DirectoryParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
}

/** What changed: one key, one user with all keys, or a key that was revoked, by its hash. */
export interface Change {
  readonly key?: string | undefined;
  readonly user?: string | undefined;
  readonly revoked?: string | undefined;
}

/** Keys and users: the tables, what is remembered of them, and word of changes to every instance. */
export class Directory {
  readonly users: Users;
  readonly keys: Keys;
  /** By hash. */
  readonly found: LookUp<FoundKey>;
  /** By subject; see people.ts. */
  readonly met: LookUp<UserRow>;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #silentUntil = Number.NEGATIVE_INFINITY;

  constructor({ database, clock, ids, logger }: DirectoryParts) {
    this.#database = database;
    this.#clock = clock;
    this.#logger = logger;
    this.users = new Users(database, ids);
    this.keys = new Keys(database, ids);
    const onFailure = (error: unknown) => this.#failed(error);
    this.met = new LookUp(clock, (subject) => this.users.byProfile(profileOf(subject)), { onFailure });
    // Keys are made up here, at random: one that does not exist never will.
    const isOver = (found: FoundKey | undefined) => !found || found.key.revoked_at !== null;
    this.found = new LookUp(clock, (hash) => this.keys.byHash(hash), { onFailure, isOver });
  }

  readonly now = (): Moment => ({ wall: this.#clock.now().getTime(), monotonic: this.#clock.monotonic() });

  /** Listens to what other instances change; returns how to end it. */
  listen(): () => void {
    return this.#database.subscribe(TOPIC, (message) => {
      const change = message === null ? undefined : readChange(message);
      if (change) return this.#apply(change);
      this.found.distrust();
      this.met.distrust();
    });
  }

  /** Makes a change that was just written hold here at once, and tells the other instances. */
  async tell(change: Change): Promise<void> {
    this.#apply(change);
    await this.#database.publish(TOPIC, JSON.stringify(change));
  }

  /** A database that is away fails every look-up; that is worth a line now and then. */
  #failed(error: unknown): void {
    const now = this.#clock.monotonic();
    if (now < this.#silentUntil) return;
    this.#silentUntil = now + SILENT_MS;
    this.#logger.warn({ err: error }, "callers cannot be looked up; those known of late are served from memory");
  }

  #apply({ key, user, revoked }: Change): void {
    if (revoked !== undefined) this.found.bury(revoked);
    if (key !== undefined) this.found.renew((found) => found.key.id === key);
    if (user === undefined) return;
    this.found.renew((found) => found.key.user_id === user);
    this.met.renew(({ id }) => id === user);
  }
}

/** The one directory of a gateway: a reload while the database is away forgets nobody. */
export const KeptDirectory = token("auth.directory", (scope) => {
  const logger = scope.get(Logger).child({ plugin: "auth" });
  return new Directory({ ...scope.inject({ database: Database, clock: Clock, ids: Ids }), logger });
});

function readChange(message: string): Change | undefined {
  try {
    const change = JSON.parse(message);
    const text = (value: unknown) => (typeof value === "string" ? value : undefined);
    return { key: text(change.key), user: text(change.user), revoked: text(change.revoked) };
  } catch {
    return undefined;
  }
}
