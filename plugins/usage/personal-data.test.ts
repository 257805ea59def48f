import { expect, it, vi } from "vitest";
import { eachDatabase } from "../../test/support/databases.ts";
import { ASK, post, rows, startUsage } from "../../test/support/usage-rig.ts";
import { removeBefore } from "./partitions.ts";
import { personalData } from "./personal-data.ts";
import { report } from "./reports.ts";
import type { Tables } from "./tables.ts";

eachDatabase("what the ledger forgets", (open) => {
  it("forgets a user: the rows count for nobody, sums stay the same, and doing it again changes nothing", async () => {
    const database = await open();
    const { url } = await startUsage(database, { content: "store", contentKey: Buffer.alloc(32, 7).toString("base64") });
    for (const user of ["usr_ann", "usr_bob", "usr_ann"])
      await (await post(url, "/v1/chat/completions", ASK, { "x-test-user": user, "user-agent": "ann-phone" })).text();
    await rows(database, 3);
    const contents = () => database.tables<Tables>().selectFrom("usage_contents").selectAll().execute();
    await vi.waitFor(async () => expect(await contents()).toHaveLength(3), { timeout: 5_000 });
    const span = { since: 0, until: Date.now() };
    const before = await report(database, "model", span);
    const data = personalData(database, undefined);
    expect((await data.export("usr_ann")).usage).toHaveLength(2);
    expect(await data.erase("usr_ann")).toBe(2);
    expect(await data.erase("usr_ann")).toBe(0);
    expect(await report(database, "model", span)).toEqual(before);
    expect((await report(database, "user", span)).map(({ name }) => name).toSorted()).toEqual(["erased", "usr_bob"]);
    expect(await contents()).toHaveLength(1);
    const left = JSON.stringify((await rows(database, 3)).filter(({ user_id }) => user_id === "erased"));
    expect(left).not.toMatch(/usr_ann|ann-phone|127\.0\.0\.1/);
  });

  it("removes what is older than it is to be kept, and no day's sum", async () => {
    const database = await open();
    const { url } = await startUsage(database);
    await (await post(url, "/v1/chat/completions", ASK)).text();
    await rows(database, 1);
    await removeBefore(database, Date.now() - 86_400_000);
    await rows(database, 1);
    await removeBefore(database, Date.now() + 1_000);
    await rows(database, 0);
    expect(await report(database, "model", { since: 0, until: Date.now() })).toMatchObject([{ requests: 1 }]);
  });
});
