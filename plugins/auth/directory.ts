import type { Clock, Database, Ids, Logger } from "headgate";
import { type Identity, identityOfKey, type Moment, revoked, type Terms } from "./identity.ts";
import { Keys } from "./keys.ts";
import { LookUp } from "./look-up.ts";
import { People, type PeopleTerms } from "./people.ts";
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

/** What changed: one key, or one user with all keys. */
export interface Change {
  readonly key?: string | undefined;
  readonly user?: string | undefined;
  /** Whether the key was revoked. */
  readonly revoked?: boolean;
}

/** Keys and users: the tables, what is remembered of them, and word of changes to every instance. */
export class Directory {
  readonly users: Users;
  readonly keys: Keys;
  /** By hash. */
  readonly identities: LookUp<Identity>;
  readonly people: People;
  readonly #database: Database;
  readonly #clock: Clock;

  readonly #logger: Logger;
  #silentUntil = Number.NEGATIVE_INFINITY;

  constructor({ database, clock, ids, logger }: DirectoryParts, terms: Terms & PeopleTerms) {
    this.#database = database;
    this.#clock = clock;
    this.#logger = logger;
    this.users = new Users(database, ids);
    this.keys = new Keys(database, ids);
    const failed = (error: unknown) => this.#failed(error);
    this.people = new People(this.users, clock, terms, failed);
    this.identities = new LookUp(
      clock,
      async (hash) => {
        const found = await this.keys.byHash(hash);
        return found && identityOfKey(found.key, found.user, terms, this.now());
      },
      failed,
    );
  }

  readonly now = (): Moment => ({ wall: this.#clock.now().getTime(), monotonic: this.#clock.monotonic() });

  /** Listens to what other instances change; returns how to end it. */
  listen(): () => void {
    return this.#database.subscribe(TOPIC, (message) => {
      const change = message === null ? undefined : readChange(message);
      if (change) return this.#apply(change);
      this.identities.distrust();
      this.people.distrust();
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

  #apply({ key, user, revoked: isRevoked }: Change): void {
    if (key !== undefined && isRevoked) {
      this.identities.revise((identity) => (identity.caller.key === key ? revoked(identity) : undefined));
    } else if (key !== undefined) this.identities.renew(({ caller }) => caller.key === key);
    if (user === undefined) return;
    this.identities.renew(({ caller }) => caller.user === user);
    this.people.renew(user);
  }
}

function readChange(message: string): Change | undefined {
  try {
    const change = JSON.parse(message);
    const text = (value: unknown) => (typeof value === "string" ? value : undefined);
    return { key: text(change.key), user: text(change.user), revoked: change.revoked === true };
  } catch {
    return undefined;
  }
}
