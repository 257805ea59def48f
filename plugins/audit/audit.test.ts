import { type ApiRequest, bind, type Caller, Database, type EventMap, Events, GatewayError } from "headgate";
import { describePlugin, exchange, fakeServices } from "headgate/testing";
import { type RawBuilder, sql } from "kysely";
import { expect, it } from "vitest";
import { eachDatabase } from "../../test/support/databases.ts";
import type { Entry } from "./chain.ts";
import { audit } from "./index.ts";
import type { ShownEntry } from "./shapes.ts";
import { type AuditTables, migrations } from "./tables.ts";
import { Trail } from "./trail.ts";

type Tamper = RawBuilder<unknown>;

describePlugin("audit", audit);

const ann: Caller = { user: "usr_ann", key: "key_1", team: null, plan: "pro", segment: "standard", role: "admin", name: "ann@example.com" };
const bob: Caller = { ...ann, user: "usr_bob", key: "key_2", role: "user", name: "bob@example.com" };

const created: EventMap["api.handled"] = {
  caller: ann,
  ip: "203.0.113.1",
  requestId: "req_1",
  method: "POST",
  route: "/api/users",
  params: {},
  body: { email: "bob@example.com", password: "***" },
  status: 201,
  made: "usr_bob",
};

async function rigOn(database: Database) {
  const fakes = fakeServices([bind(Database, database)]);
  const { definition, options } = audit();
  const hooks = definition.setup(options as never, fakes.scope.inject(definition.inject ?? {}));
  await hooks.start?.();
  const trail = new Trail(database);
  return {
    ...fakes,
    hooks,
    trail,
    emit: (event: Partial<EventMap["api.handled"]> = {}) => fakes.scope.get(Events).emit("api.handled", { ...created, ...event }),
    /** Ends a minute, and waits until all of it is in the chain. */
    async written() {
      await fakes.clock.advance(60_000);
      await hooks.stop?.();
      await hooks.start?.();
    },
    async list(query: object = {}): Promise<ShownEntry[]> {
      const route = hooks.routes?.find(({ path }) => path === "/api/audit");
      const answer = await route?.handle({ query: route.query?.parse(query) } as unknown as ApiRequest);
      return (answer as { body: { data: ShownEntry[] } }).body.data;
    },
    async refuse(ip: string, error: GatewayError, caller?: Caller) {
      const call = exchange({ ip });
      call.caller = caller;
      await hooks.handle?.(call, async () => undefined);
      await call.settle({ kind: "refused", status: error.status, error });
    },
    verify: () => trail.verify(new AbortController().signal),
  };
}

eachDatabase("the trail", (open, dialect) => {
  const rig = async () => rigOn(await open(migrations));

  it("tells who did what to what, from where", async () => {
    const { emit, written, list } = await rig();
    emit();
    emit({ made: undefined, method: "DELETE", route: "/api/keys/:id", params: { id: "key_9" }, status: 404, error: "not_found", body: {} });
    await written();
    expect(await list()).toEqual([
      expect.objectContaining({ seq: 2, action: "DELETE /api/keys/:id", target: { id: "key_9" }, status: 404 }),
      expect.objectContaining({
        seq: 1,
        actor: { user: "usr_ann", key: "key_1", role: "admin" },
        action: "POST /api/users",
        target: { made: "usr_bob" },
        status: 201,
        count: 1,
        details: { name: "ann@example.com", ip: "203.0.113.1", body: { email: "bob@example.com", password: "***" } },
      }),
    ]);
  });

  it("is filtered by actor, action and time, and paged", async () => {
    const { emit, written, list, clock } = await rig();
    const start = clock.now().toISOString();
    for (const caller of [ann, bob, ann]) emit({ caller });
    await written();
    const later = clock.now().toISOString();
    emit({ method: "PUT", route: "/api/x" });
    emit({ caller: bob, status: 403, error: "permission_denied" });
    await written();
    const seqs = async (query: object) => (await list(query)).map(({ seq }) => seq);
    expect(await seqs({ actor: "usr_bob" })).toEqual([5, 2]);
    expect(await seqs({ actor: "key_1" })).toEqual([4, 3, 1]);
    expect(await seqs({ action: "PUT /api/x" })).toEqual([4]);
    expect(await seqs({ action: "refused:*" })).toEqual([5]);
    expect(await seqs({ action: "%" })).toEqual([]);
    expect(await seqs({ since: later })).toEqual([5, 4]);
    expect(await seqs({ since: start, until: later })).toEqual([3, 2, 1]);
    expect(await seqs({ limit: "2" })).toEqual([5, 4]);
  });

  it("counts equal refusals of a minute in one row", async () => {
    const { refuse, emit, written, list } = await rig();
    const wrong = new GatewayError("invalid_api_key");
    for (let call = 0; call < 500; call++) await refuse("203.0.113.9", wrong);
    for (let call = 0; call < 500; call++)
      emit({ caller: undefined, method: "GET", route: "/api/keys", status: 401, error: "invalid_api_key" });
    await refuse("203.0.113.9", new GatewayError("insufficient_quota"), bob);
    await refuse("203.0.113.9", new GatewayError("invalid_request"), bob);
    await written();
    const rows = await list();
    expect(rows.map(({ action, count, target, actor }) => [action, count, target, actor.user])).toEqual([
      ["refused:insufficient_quota", 1, { operation: "chat" }, "usr_bob"],
      ["refused:invalid_api_key", 500, { route: "GET /api/keys" }, null],
      ["refused:invalid_api_key", 500, { operation: "chat" }, null],
    ]);
  });

  it("is bounded, however many strangers are refused", async () => {
    const { refuse, written, trail } = await rig();
    for (let ip = 0; ip < 3_000; ip++) await refuse(`198.51.100.${ip}`, new GatewayError("invalid_api_key"));
    await written();
    const { ok, rows } = await trail.verify(new AbortController().signal);
    expect({ ok, rows }).toEqual({ ok: true, rows: 1_001 });
  });

  it("cannot be changed or shortened, not even by who has the database's password", async () => {
    const database = await open(migrations);
    const { emit, written } = await rigOn(database);
    emit();
    await written();
    const db = database.tables<AuditTables>();
    await expect(db.updateTable("audit_log").set({ status: 200 }).execute()).rejects.toThrow();
    await expect(db.deleteFrom("audit_log").execute()).rejects.toThrow();
    await expect(db.updateTable("audit_details").set({ details: "{}" }).execute()).rejects.toThrow();
  });

  it.each<[name: string, tamper: Tamper, broken: string, andThen?: Tamper]>([
    ["a changed row", sql`update audit_log set actor_user = 'usr_eve' where seq = 2`, "row 2 was changed"],
    ["a changed time", sql`update audit_log set at = at + 1 where seq = 3`, "row 3 was changed"],
    ["a removed row", sql`delete from audit_log where seq = 2`, "row 2 is missing"],
    ["a removed beginning", sql`delete from audit_log where seq = 1`, "row 1 is missing"],
    ["a removed end", sql`delete from audit_log where seq = 4`, "row 4 is missing"],
    [
      "rows in another order",
      sql`update audit_log set seq = case seq when 2 then 12 else 13 end where seq in (2, 3)`,
      "row 2 does not follow",
      sql`update audit_log set seq = 15 - seq where seq > 10`,
    ],
    ["a hash that fits a forged row only", sql`update audit_log set hash = 'ff' where seq = 4`, "row 4 was changed"],
    ["changed details", sql`update audit_details set details = '{}' where seq = 2`, "the details of row 2 were changed"],
  ])("shows %s", async (_, tamper, broken, andThen) => {
    const database = await open(migrations);
    const { emit, written, verify } = await rigOn(database);
    for (let row = 0; row < 4; row++) emit();
    await written();
    expect(await verify()).toMatchObject({ ok: true, rows: 4, erased: 0 });
    const db = database.tables<AuditTables>();
    if (dialect === "sqlite") {
      for (const name of ["audit_log_no_update", "audit_log_no_delete", "audit_details_no_update"]) {
        await sql`drop trigger ${sql.ref(name)}`.execute(db);
      }
    } else await sql`drop function audit_refuse() cascade`.execute(db);
    await tamper.execute(db);
    await andThen?.execute(db);
    expect(await verify()).toMatchObject({ ok: false, broken: expect.stringContaining(broken) });
  });

  it("is one chain, whoever writes, and holds nothing twice", async () => {
    const database = await open(migrations);
    const writers = [new Trail(database), new Trail(await database.again())];
    const entry = (id: string): Entry => ({
      ...{ id, at: 1, actor_user: null, actor_key: null, actor_role: null, action: "a", target: "{}" },
      ...{ status: 200, count: 1, salt: "s", details: "{}" },
    });
    const batches = Array.from({ length: 20 }, (_, batch) => Array.from({ length: 5 }, (_, index) => entry(`e${batch}-${index}`)));
    await Promise.all(batches.flatMap((batch, index) => [writers[index % 2]?.append(batch), writers[(index + 1) % 2]?.append(batch)]));
    expect(await writers[0]?.verify(new AbortController().signal)).toMatchObject({ ok: true, rows: 100 });
  });

  it("forgets a person and stays whole", async () => {
    const { emit, written, verify, hooks, list } = await rig();
    emit();
    emit({ caller: bob, body: { name: "Bob's own" } });
    emit({ route: "/api/keys", body: { user_id: "usr_bob" }, made: "key_7" });
    emit({ route: "/api/keys", body: { name: "of nobody" }, made: "key_8" });
    await written();
    expect(await hooks.personalData?.export("usr_bob")).toMatchObject({ audit: [{ seq: 1 }, { seq: 2 }, { seq: 3 }] });
    expect(await hooks.personalData?.erase("usr_bob")).toBe(3);
    expect(await hooks.personalData?.erase("usr_bob")).toBe(0);
    expect(await verify()).toMatchObject({ ok: true, rows: 4, erased: 3 });
    const kept = await list();
    expect(kept.map(({ details }) => details === null)).toEqual([false, true, true, true]);
    expect(JSON.stringify(kept)).not.toMatch(/bob@|Bob's/);
  });

  it("has what a command changed before the command ends", async () => {
    const { hooks, list } = await rig();
    await hooks.onCommand?.({ ...created, ip: "cli" });
    expect(await list()).toMatchObject([{ action: "POST /api/users", details: { ip: "cli" } }]);
  });
});
