import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Database } from "headgate";
import { FakeClock, FakeIds, FakeLogger } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { createMetrics } from "../../core/services/metrics-registry.ts";
import { FileSpools } from "../../core/services/spool/spools.ts";
import { eachDatabase } from "../../test/support/databases.ts";
import { beginning, rows } from "../../test/support/usage-rig.ts";
import { Ledger } from "./ledger.ts";
import { migrations } from "./tables.ts";

/** Starts processes with one data folder, one after the other. */
function machine() {
  const data = mkdtempSync(join(tmpdir(), "headgate-killed-"));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const ids = new FakeIds();
  return async (db: Database) => {
    const clock = new FakeClock();
    const spools = new FileSpools(data, { clock, metrics: createMetrics(), logger: new FakeLogger() });
    const ledger = new Ledger({ clock, db, ids, spools });
    await ledger.start();
    /** What it wrote stays, and nothing of it runs any more, for its clock stands still. */
    const kill = async () => {
      await setImmediate();
      spools.close();
    };
    return { clock, ledger, kill };
  };
}

eachDatabase("a call that was under way when its gateway was killed", (open) => {
  it("has its row, though the next process is killed too while the database is away", async () => {
    const db = await open(migrations);
    const away = { ...db, transaction: () => Promise.reject(new Error("away")) } as Database;
    const start = machine();
    const first = await start(db);
    first.ledger.begin("req_lost", beginning({ created_at: 1 }));
    await first.kill();

    const second = await start(away);
    await second.clock.advance(1_000);
    await second.kill();

    const third = await start(db);
    await third.clock.advance(2_000);
    expect(await rows(db, 1)).toMatchObject([{ id: "req_lost", outcome: "unknown" }]);
    await third.kill();
  });
});
