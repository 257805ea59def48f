import { type Database, GatewayError, type Ids } from "headgate";
import { DAY_MS } from "./identity.ts";
import { type NewKey, sameHash } from "./key.ts";
import type { KeyRow, Tables, UserRow } from "./tables.ts";

/** What can be set of a key; lists as JSON. */
export type KeyFields = Pick<
  KeyRow,
  "name" | "user_id" | "role" | "trusted" | "models" | "routes" | "ips" | "expires_at" | "rotate_every_days"
>;

/** A key with its user, if there is one. */
export interface FoundKey {
  readonly key: KeyRow;
  readonly user: UserRow | undefined;
}

/** The table `keys`. Times are epoch ms. */
export class Keys {
  readonly #database: Database;
  readonly #ids: Ids;

  constructor(database: Database, ids: Ids) {
    this.#database = database;
    this.#ids = ids;
  }

  async byHash(hash: string): Promise<FoundKey | undefined> {
    const key = await this.#tables().selectFrom("keys").selectAll().where("hash", "=", hash).executeTakeFirst();
    if (!key || !sameHash(key.hash, hash)) return undefined;
    const user = key.user_id === null ? undefined : await this.#user(key.user_id);
    return { key, user };
  }

  byId(id: string): Promise<KeyRow | undefined> {
    return this.#tables().selectFrom("keys").selectAll().where("id", "=", id).executeTakeFirst();
  }

  ofUser(userId: string): Promise<KeyRow[]> {
    return this.#tables()
      .selectFrom("keys")
      .selectAll()
      .where("user_id", "=", userId)
      .orderBy("created_at")
      .orderBy("id")
      .limit(1_000)
      .execute();
  }

  async any(): Promise<boolean> {
    return (await this.#tables().selectFrom("keys").select("id").limit(1).executeTakeFirst()) !== undefined;
  }

  async create({ hash, last4 }: NewKey, fields: KeyFields, now: number): Promise<KeyRow> {
    return this.#tables()
      .insertInto("keys")
      .values(rowOf(this.#ids.next("key"), hash, last4, fields, now))
      .returningAll()
      .executeTakeFirstOrThrow();
  }

  update(id: string, fields: Partial<KeyFields & Pick<KeyRow, "rotate_at">>): Promise<KeyRow | undefined> {
    return this.#tables().updateTable("keys").set(fields).where("id", "=", id).returningAll().executeTakeFirst();
  }

  /**
   * A successor with the same rights; the old key works beside it until `overlapUntil`. Throws GatewayError `not_found`,
   * or `conflict` for a key that was replaced or revoked.
   */
  async rotate(id: string, { hash, last4 }: NewKey, overlapUntil: number, now: number): Promise<KeyRow> {
    const successor = this.#ids.next("key");
    return this.#database.transaction<Tables, KeyRow>(async (tables) => {
      const old = await tables.selectFrom("keys").selectAll().where("id", "=", id).executeTakeFirst();
      if (!old) throw new GatewayError("not_found", { message: "There is no such key." });
      const replaced = await tables
        .updateTable("keys")
        .set({ replaced_by: successor, overlap_until: overlapUntil })
        .where("id", "=", id)
        .where("revoked_at", "is", null)
        .where((or) => or.or([or("replaced_by", "is", null), or("replaced_by", "=", successor)]))
        .executeTakeFirst();
      if (replaced.numUpdatedRows === 0n) {
        throw new GatewayError("conflict", { message: `This key was ${old.revoked_at === null ? "rotated" : "revoked"} already.` });
      }
      const row = { ...rowOf(successor, hash, last4, old, now), rotated_from: id };
      await tables
        .insertInto("keys")
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return row;
    });
  }

  /** The key as it is then; undefined when there is none. Revoking again changes nothing. */
  async revoke(id: string, now: number): Promise<KeyRow | undefined> {
    await this.#tables().updateTable("keys").set({ revoked_at: now }).where("id", "=", id).where("revoked_at", "is", null).execute();
    return this.byId(id);
  }

  async revokeOfUser(userId: string, now: number): Promise<void> {
    await this.#tables()
      .updateTable("keys")
      .set({ revoked_at: now })
      .where("user_id", "=", userId)
      .where("revoked_at", "is", null)
      .execute();
  }

  async deleteOfUser(userId: string): Promise<number> {
    const { numDeletedRows } = await this.#tables().deleteFrom("keys").where("user_id", "=", userId).executeTakeFirst();
    return Number(numDeletedRows);
  }

  /** For a list, of one user or of all. */
  listed(userId: string | undefined) {
    const all = this.#tables().selectFrom("keys").selectAll();
    return userId === undefined ? all : all.where("user_id", "=", userId);
  }

  async touch(ids: readonly string[], now: number): Promise<void> {
    await this.#tables().updateTable("keys").set({ last_used_at: now }).where("id", "in", ids).execute();
  }

  /** Keys to be rotated that nobody was told of since a day; at most 500. Of several instances that ask, one is given each. */
  async claimDue(now: number): Promise<KeyRow[]> {
    const due = this.#tables()
      .selectFrom("keys")
      .select("id")
      .where("rotate_at", "<=", now)
      .where("replaced_by", "is", null)
      .where("revoked_at", "is", null)
      .where((or) => or.or([or("rotation_told_at", "is", null), or("rotation_told_at", "<=", now - DAY_MS)]))
      .limit(500);
    return this.#tables()
      .updateTable("keys")
      .set({ rotation_told_at: now })
      .where("id", "in", due)
      .where((or) => or.or([or("rotation_told_at", "is", null), or("rotation_told_at", "<=", now - DAY_MS)]))
      .returningAll()
      .execute();
  }

  #user(id: string): Promise<UserRow | undefined> {
    return this.#tables().selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
  }

  #tables() {
    return this.#database.tables<Tables>();
  }
}

/** When a key made now is to be rotated. */
export function rotateAt(everyDays: number, now: number): number | null {
  return everyDays === 0 ? null : now + everyDays * DAY_MS;
}

function rowOf(id: string, hash: string, last4: string, fields: KeyFields, now: number): KeyRow {
  const { name, user_id, role, trusted, models, routes, ips, expires_at, rotate_every_days } = fields;
  return {
    id,
    hash,
    last4,
    name,
    user_id,
    role,
    trusted,
    models,
    routes,
    ips,
    expires_at,
    rotate_every_days,
    rotate_at: rotateAt(rotate_every_days, now),
    rotation_told_at: null,
    rotated_from: null,
    replaced_by: null,
    overlap_until: null,
    revoked_at: null,
    last_used_at: null,
    created_at: now,
  };
}
