import { bind, Clock, Database } from "headgate";
import { auth } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { FakeLogger, startGateway } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { resolveConfig } from "../../core/config/check.ts";
import { createDatabase } from "../../core/services/database/open.ts";
import type { OwnedDatabase } from "../../core/services/database/owned.ts";
import { AuthRig, DEVELOPMENT_KEY, onDatabases } from "../../test/support/auth-rig.ts";
import { hasPostgres, type PostgresServer, startPostgres } from "../../test/support/postgres.ts";
import { migrations } from "./tables.ts";

/** The database, until it is said to be away: then every statement fails as if nothing listened. */
function failable(database: Database): Database & { away: boolean } {
  const gone = () => {
    throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  };
  const wrapped = {
    ...bound(database),
    away: false,
    tables: <T>() => (wrapped.away ? gone() : database.tables<T>()),
    transaction: (work: never) => (wrapped.away ? gone() : database.transaction(work)),
  };
  return wrapped as never;
}

function bound(database: Database) {
  const { dialect } = database;
  return {
    dialect,
    reports: database.reports.bind(database),
    publish: database.publish.bind(database),
    subscribe: database.subscribe.bind(database),
    health: database.health.bind(database),
  };
}

const MINUTE = 60_000;

onDatabases((open) => {
  describe("A9: the database goes away", () => {
    it("a known key works on, an unknown one gets 503, a revoked one stays revoked", async () => {
      const database = failable(await open());
      const rig = new AuthRig(database, { developmentKey: DEVELOPMENT_KEY });
      await rig.hooks.start?.();
      const [known, unseen, revoked, unused] = [await rig.key(), await rig.key(), await rig.key(), await rig.key()];
      const [wrong, wrongBefore] = [`hg_${"x".repeat(43)}`, `hg_${"y".repeat(43)}`];
      await rig.who(known.key);
      await rig.who(revoked.key);
      await rig.who(wrongBefore);
      for (const { id } of [revoked, unused]) await rig.api("POST", `/api/keys/${id}/revoke`);
      database.away = true;
      const outcomes = async () => ({
        known: await rig.outcome(known.key),
        unseen: await rig.outcome(unseen.key),
        revoked: await rig.outcome(revoked.key),
        unused: await rig.outcome(unused.key),
        wrong: await rig.outcome(wrong),
        wrongBefore: await rig.outcome(wrongBefore),
        development: await rig.outcome(DEVELOPMENT_KEY, { ip: "127.0.0.1" }),
      });
      const away = {
        known: "ok",
        unseen: "dependency_unavailable",
        revoked: "invalid_api_key",
        unused: "invalid_api_key",
        wrong: "dependency_unavailable",
        wrongBefore: "invalid_api_key",
        development: "ok",
      };
      for (let minute = 0; minute < 20; minute++) {
        expect(await outcomes(), `after ${minute} minutes`).toEqual(away);
        await rig.clock.advance(MINUTE);
      }
      expect(await outcomes(), "after 20 minutes").toEqual({ ...away, known: "dependency_unavailable" });
      const told = rig.fakes.logger.lines.filter(({ message }) => message.startsWith("callers cannot be looked up"));
      expect(told.length).toBeGreaterThan(0);
      expect(told.length).toBeLessThanOrEqual(21);
      database.away = false;
      await rig.clock.advance(250);
      expect(await outcomes()).toEqual({
        known: "ok",
        unseen: "ok",
        revoked: "invalid_api_key",
        unused: "invalid_api_key",
        wrong: "invalid_api_key",
        wrongBefore: "invalid_api_key",
        development: "ok",
      });
      await rig.hooks.stop?.();
    });

    it("a key that another instance revoked before gets 401 here, though nobody has used it here", async () => {
      const database = await open();
      const elsewhere = new AuthRig(await database.again());
      const here = failable(database);
      const rig = new AuthRig(here);
      await rig.hooks.start?.();
      const { id, key } = await elsewhere.key();
      await expect
        .poll(async () => {
          here.away = false;
          await elsewhere.api("POST", `/api/keys/${id}/revoke`);
          here.away = true;
          return rig.outcome(key);
        })
        .toBe("invalid_api_key");
      await rig.hooks.stop?.();
    });

    it("an end user who is known works on; a new one gets 503", async () => {
      const database = failable(await open());
      const rig = new AuthRig(database);
      const app = await rig.key({ trusted: true });
      const as = (email: string) => rig.call({ "x-api-key": app.key, "x-user-email": email });
      const { caller } = await as("alice@example.com");
      database.away = true;
      await rig.clock.advance(10 * MINUTE);
      expect((await as("alice@example.com")).caller).toEqual(caller);
      expect((await as("bob@example.com")).error).toMatchObject({ code: "dependency_unavailable", status: 503 });
    });

    it("a key that expires meanwhile stops on time", async () => {
      const database = failable(await open());
      const rig = new AuthRig(database);
      const { key } = await rig.key({ expires_at: new Date(rig.clock.now().getTime() + 6 * MINUTE).toISOString() });
      await rig.who(key);
      database.away = true;
      await rig.clock.advance(6 * MINUTE - 1);
      expect(await rig.outcome(key)).toBe("ok");
      await rig.clock.advance(1);
      expect(await rig.outcome(key)).toBe("invalid_api_key");
    });

    it("while the gateway starts: it starts all the same", async () => {
      const database = failable(await open());
      database.away = true;
      const rig = new AuthRig(database);
      await rig.hooks.start?.();
      expect(rig.hooks.announce?.()).toEqual({});
      await rig.hooks.stop?.();
    });
  });

  it("a key that is known works on when the config is loaded anew meanwhile, by the terms of the new one", async () => {
    const database = failable(await open());
    const config = (defaultPlan: string) => ({
      providers: [simulator({ speed: 0 })],
      plugins: [auth({ developmentKey: DEVELOPMENT_KEY, defaultPlan })],
    });
    const { url, gateway, stop } = await startGateway(config("trial"), [bind(Database, database)]);
    onTestFinished(stop);
    const call = (method: string, path: string, key: string, body?: object) =>
      fetch(url + path, {
        method,
        headers: { "x-api-key": key, "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      });
    const { key } = (await (await call("POST", "/api/keys", DEVELOPMENT_KEY, { name: "known" })).json()) as { key: string };
    expect((await call("GET", "/v1/models", key)).status).toBe(200);
    database.away = true;
    await gateway.reload(resolveConfig(config("pro")));
    expect((await call("GET", "/v1/models", key)).status).toBe(200);
    database.away = false;
    expect(await (await call("GET", "/api/me", key)).json()).toMatchObject({ plan: "pro" });
  });

  it("the control plane answers 503 while the database is away", async () => {
    const database = failable(await open());
    const { url, stop } = await startGateway({ providers: [simulator()], plugins: [auth({ developmentKey: DEVELOPMENT_KEY })] }, [
      bind(Database, database),
    ]);
    database.away = true;
    const answer = await fetch(`${url}/api/users`, { headers: { "x-api-key": DEVELOPMENT_KEY } });
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ error: { code: "dependency_unavailable" } });
    database.away = false;
    expect((await fetch(`${url}/api/users`, { headers: { "x-api-key": DEVELOPMENT_KEY } })).status).toBe(200);
    await stop();
  });

  describe("word of changes", () => {
    it("that may have been missed makes everything be looked up anew", async () => {
      const database = await open();
      let miss: () => void = () => undefined;
      const deaf: Database = {
        ...bound(database),
        tables: database.tables.bind(database),
        transaction: database.transaction.bind(database),
        publish: async () => undefined,
        subscribe: (_topic, listener) => {
          miss = () => listener(null);
          return () => undefined;
        },
      };
      const [rig, elsewhere] = [new AuthRig(deaf), new AuthRig(database)];
      await rig.hooks.start?.();
      const { id, key } = await rig.key();
      await rig.who(key);
      await elsewhere.api("POST", `/api/keys/${id}/revoke`);
      expect(await rig.outcome(key), "nobody has told it yet").toBe("ok");
      miss();
      expect(await rig.outcome(key)).toBe("invalid_api_key");
      await rig.hooks.stop?.();
    });
  });
});

describe.skipIf(!hasPostgres)("A9: a real PostgreSQL is frozen, killed and started again", () => {
  let server: PostgresServer;
  const open: OwnedDatabase[] = [];
  beforeAll(async () => {
    // A key that was given out outlives the kill.
    server = await startPostgres({ settings: { synchronous_commit: "on" } });
  });
  afterAll(async () => {
    for (const database of open) await database.close();
    await server.stop();
  });

  it("known keys never notice, unknown ones wait a moment for 503, and all is well again by itself", async () => {
    const url = await server.database("auth");
    const realClock = (Clock.fallback as () => Clock)();
    const instance = async () => {
      const database = createDatabase({ url, data: "", random: { next: Math.random }, logger: new FakeLogger() });
      open.push(database);
      await database.migrate(migrations);
      const rig = new AuthRig(database, {}, [bind(Clock, realClock)]);
      await rig.hooks.start?.();
      return rig;
    };
    const [here, there] = [await instance(), await instance()];
    const [known, revoked] = [await here.key(), await here.key()];
    let guesses = 0;
    /** Another each time: that a key does not exist is remembered for a while. */
    const wrong = () => `hg_${String(guesses++).padStart(43, "0")}`;
    expect([await here.outcome(known.key), await here.outcome(revoked.key)]).toEqual(["ok", "ok"]);
    await there.api("POST", `/api/keys/${revoked.id}/revoke`);
    await expect.poll(() => here.outcome(revoked.key), { timeout: 10_000 }).toBe("invalid_api_key");

    const timed = async (key: string) => {
      const before = realClock.monotonic();
      const outcome = await here.outcome(key);
      // A call waits 250 ms at most; the rest is room for a busy machine.
      expect(realClock.monotonic() - before).toBeLessThan(1_000);
      return outcome;
    };
    for (const fail of ["pause", "kill"] as const) {
      const unseen = await here.key();
      await server[fail]();
      for (let round = 0; round < 5; round++) {
        expect([await timed(known.key), await timed(revoked.key)], fail).toEqual(["ok", "invalid_api_key"]);
        expect([await timed(unseen.key), await timed(wrong())], fail).toEqual(["dependency_unavailable", "dependency_unavailable"]);
      }
      await (fail === "pause" ? server.resume() : server.restart());
      await expect.poll(() => here.outcome(wrong()), { timeout: 20_000, interval: 200 }).toBe("invalid_api_key");
      expect([await here.outcome(known.key), await here.outcome(revoked.key)]).toEqual(["ok", "invalid_api_key"]);
      expect(await here.outcome(unseen.key)).toBe("ok");
    }
    await Promise.all([here.hooks.stop?.(), there.hooks.stop?.()]);
  }, 60_000);
});
