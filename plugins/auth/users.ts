import type { Database, Ids, Role } from "headgate";
import { sql } from "kysely";
import type { Status, Tables, UserRow } from "./tables.ts";

/** Somebody as a trusted key or a token names them. */
export interface Profile {
  /** In lower case. */
  readonly email: string | null;
  readonly externalId: string | null;
  readonly name: string | null;
}

/** What can be set of a user. */
export type UserFields = Omit<UserRow, "id" | "created_at" | "updated_at">;

export interface UserFilter {
  readonly q?: string | undefined;
  readonly status?: Status | undefined;
  readonly role?: Role | undefined;
  readonly plan?: string | undefined;
  readonly team?: string | undefined;
}

const SEARCHED = ["id", "email", "name", "external_id"] as const;

/** The table `users`. Times are epoch ms. */
export class Users {
  readonly #database: Database;
  readonly #ids: Ids;

  constructor(database: Database, ids: Ids) {
    this.#database = database;
    this.#ids = ids;
  }

  byId(id: string): Promise<UserRow | undefined> {
    return this.#tables().selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
  }

  /** The one with this external id, otherwise the one with this address, unless somebody else's external id is known for it. */
  async byProfile({ email, externalId }: Omit<Profile, "name">): Promise<UserRow | undefined> {
    const users = this.#tables().selectFrom("users").selectAll();
    if (externalId === null) return users.where("email", "=", email).executeTakeFirst();
    const named = await users.where("external_id", "=", externalId).executeTakeFirst();
    return named ?? users.where("email", "=", email).where("external_id", "is", null).executeTakeFirst();
  }

  /** Undefined when the address or the external id is another user's. */
  async create(fields: UserFields, now: number): Promise<UserRow | undefined> {
    const row = { id: this.#ids.next("usr"), ...fields, created_at: now, updated_at: now };
    return this.#tables()
      .insertInto("users")
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
  }

  /** Gives a user an external id, unless there is one. */
  async link(id: string, externalId: string, now: number): Promise<void> {
    await this.#tables()
      .updateTable("users")
      .set({ external_id: externalId, updated_at: now })
      .where("id", "=", id)
      .where("external_id", "is", null)
      .execute();
  }

  /** The user as it is then; undefined when there is none. Rejects with a unique violation when an address is another user's. */
  update(id: string, fields: Partial<UserFields>, now: number): Promise<UserRow | undefined> {
    return this.#tables()
      .updateTable("users")
      .set({ ...fields, updated_at: now })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirst();
  }

  /** Whether an address or external id belongs to somebody else. */
  async taken({ email = null, external_id = null }: Partial<UserFields>, id: string | null): Promise<boolean> {
    const found = await this.#tables()
      .selectFrom("users")
      .select("id")
      .where((or) => or.or([or("email", "=", email), or("external_id", "=", external_id)]))
      .where("id", "!=", id ?? "")
      .executeTakeFirst();
    return found !== undefined;
  }

  /** For a list: those that a filter fits, and whose id, address, name or external id holds the text `q` in any case. */
  listed({ q, ...filter }: UserFilter) {
    let users = this.#tables().selectFrom("users").selectAll();
    for (const column of ["status", "role", "plan", "team"] as const) {
      const value = filter[column];
      if (value !== undefined) users = users.where(column, "=", value as never);
    }
    if (q === undefined) return users;
    const pattern = `%${q.toLowerCase().replaceAll(/[!%_]/g, "!$&")}%`;
    return users.where(({ or, ref }) => or(SEARCHED.map((column) => sql<boolean>`lower(${ref(column)}) like ${pattern} escape '!'`)));
  }

  async delete(id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#tables().deleteFrom("users").where("id", "=", id).executeTakeFirst();
    return numDeletedRows > 0n;
  }

  #tables() {
    return this.#database.tables<Tables>();
  }
}
