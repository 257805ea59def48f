import { expect, it } from "vitest";
import { eachDatabase } from "../../test/support/databases.ts";
import { ASK, beginning, post, rows, startUsage } from "../../test/support/usage-rig.ts";
import { EXCHANGE } from "./columns.ts";
import { beginLine, dropLine, startLine } from "./record.ts";
import { report } from "./reports.ts";
import { Store } from "./store.ts";
import { migrations } from "./tables.ts";

eachDatabase("the ledger, whatever is delivered", (open) => {
  it("writes each row once, and sums it once, however often it is delivered", async () => {
    const database = await open();
    const { url } = await startUsage(database);
    await (await post(url, "/v1/chat/completions", ASK)).text();
    const [row] = await rows(database, 1);
    const store = new Store(database, { now: () => new Date() } as never, "run_test");
    const cells = EXCHANGE.map(({ name }) => row?.[name] ?? null);
    const line = `e\trun_x\t${row?.id}\t${JSON.stringify(cells)}\t[]`;
    for (let time = 0; time < 3; time++) await store.deliver([line, line]);
    await rows(database, 1);
    const [sum] = await report(database, "model", { since: 0, until: Date.now() });
    expect(sum).toMatchObject({ name: "sim-small", requests: 1, errors: 0, input_tokens: row?.input_tokens });
  });

  it("books a call of which nothing more was heard as unknown, once", async () => {
    const database = await open(migrations);
    const store = new Store(database, { now: () => new Date() } as never, "run_new");
    const begun = beginning({ created_at: Date.now(), input_tokens: 12 });
    const lines = [
      beginLine("run_old", "req_lost", begun),
      beginLine("run_old", "req_refused", begun),
      dropLine("run_old", "req_refused"),
      startLine("run_new"),
    ];
    await store.deliver(lines);
    await store.deliver(lines);
    expect(await rows(database, 1)).toMatchObject([{ id: "req_lost", outcome: "unknown", estimated: 1, input_tokens: 12 }]);
  });
});
