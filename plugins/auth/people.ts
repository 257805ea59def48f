import { type Clock, GatewayError, within } from "headgate";
import type { Directory } from "./directory.ts";
import type { LookUp } from "./look-up.ts";
import { Recent } from "./recent.ts";
import type { UserRow } from "./tables.ts";
import type { Profile, Users } from "./users.ts";

/** New users that one key, or one issuer of tokens, may bring in a minute. */
const NEW_PER_MINUTE = 60;
const MINUTE_MS = 60_000;
/** Longest that a call waits for its user to be created, in ms. */
const WRITE_MS = 1_000;

export interface PeopleTerms {
  readonly defaultPlan: string;
  readonly createUsers: boolean;
}

/** Users as trusted keys and tokens name them; met for the first time, they are created. */
export class People {
  readonly #users: Users;
  readonly #clock: Clock;
  readonly #terms: PeopleTerms;
  /** By subject. */
  readonly #met: LookUp<UserRow>;
  readonly #created = new Recent<{ since: number; count: number }>(1_000);

  constructor({ users, met }: Pick<Directory, "users" | "met">, clock: Clock, terms: PeopleTerms) {
    this.#users = users;
    this.#met = met;
    this.#clock = clock;
    this.#terms = terms;
  }

  /** Fresh from memory, or undefined. */
  recall(profile: Profile): UserRow | undefined {
    return this.#met.recall(subjectOf(profile)) ?? undefined;
  }

  /** `by` says who names the user, and bounds how many it may bring. Throws a GatewayError when the user is unknown and not to be created. */
  async meet(profile: Profile, by: string): Promise<UserRow> {
    const subject = subjectOf(profile);
    const found = await this.#met.find(subject);
    if (found) return this.#linked(found, profile);
    if (!this.#terms.createUsers) throw new GatewayError("permission_denied", { message: "The user that was named is not known here." });
    this.#checkRate(by);
    const created = await this.#create(profile);
    this.#met.put(subject, created);
    return created;
  }

  /** Whoever was known by address alone is from now on known by this external id too, also under another address. */
  async #linked(user: UserRow, profile: Profile): Promise<UserRow> {
    const { externalId } = profile;
    if (externalId === null || user.external_id !== null) return user;
    await this.#write(() => this.#users.link(user.id, externalId, this.#clock.now().getTime()));
    const linked = { ...user, external_id: externalId };
    this.#met.put(subjectOf(profile), linked);
    return linked;
  }

  /** Another instance may do the same at the same time; whoever comes second finds what the first has made. */
  #create(profile: Profile): Promise<UserRow> {
    const { email, externalId, name } = profile;
    const now = this.#clock.now().getTime();
    const fields = { external_id: externalId, name, plan: this.#terms.defaultPlan, team: null, ...NEWCOMER };
    return this.#write(async () => {
      const created = (await this.#users.create({ email, ...fields }, now)) ?? (await this.#users.byProfile(profile));
      // The address is that of a user with another external id: two people, of whom the first keeps it.
      const user = created ?? (await this.#users.create({ email: null, ...fields }, now));
      if (!user) throw new Error("others are being created that contradict this user");
      return user;
    });
  }

  async #write<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await within(this.#clock, WRITE_MS, work());
    } catch (cause) {
      throw new GatewayError("dependency_unavailable", { message: "The user could not be created right now.", retryAfter: 1, cause });
    }
  }

  #checkRate(by: string): void {
    const now = this.#clock.monotonic();
    let window = this.#created.get(by);
    if (!window || now - window.since >= MINUTE_MS) {
      window = { since: now, count: 0 };
      this.#created.set(by, window);
    }
    if (window.count >= NEW_PER_MINUTE) {
      const retryAfter = Math.ceil((window.since + MINUTE_MS - now) / 1000);
      throw new GatewayError("rate_limited", {
        message: `More than ${NEW_PER_MINUTE} new users in a minute; the next may come later.`,
        retryAfter,
      });
    }
    window.count += 1;
  }
}

const NEWCOMER = { segment: "standard", role: "user", status: "active", status_reason: null, notes: null } as const;

/** One text for a profile; no part of it holds a line break. */
function subjectOf({ email, externalId }: Profile): string {
  return `${externalId ?? ""}\n${email ?? ""}`;
}

export function profileOf(subject: string): Omit<Profile, "name"> {
  const [externalId = "", email = ""] = subject.split("\n");
  return { email: email || null, externalId: externalId || null };
}
