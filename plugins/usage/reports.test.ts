import { describe, expect, it } from "vitest";
import { eachDatabase } from "../../test/support/databases.ts";
import { ASK, post, rows, startUsage } from "../../test/support/usage-rig.ts";
import { csv } from "./reports.ts";

eachDatabase("reports", (open) => {
  it("reports by model, user and day, as JSON and as CSV", async () => {
    const database = await open();
    const { url } = await startUsage(database);
    for (const user of ["usr_ann", "usr_ann", "usr_bob"])
      await (await post(url, "/v1/chat/completions", ASK, { "x-test-user": user })).text();
    await rows(database, 3);
    const get = async (path: string) => (await fetch(url + path)).text();
    expect(JSON.parse(await get("/api/usage/report?by=user")).data).toMatchObject([
      { name: "usr_ann", requests: 2, errors: 0 },
      { name: "usr_bob", requests: 1 },
    ]);
    expect(JSON.parse(await get("/api/usage/totals"))).toMatchObject({ requests: 3, errors: 0 });
    expect(JSON.parse(await get("/api/usage?limit=2&user=usr_ann")).data).toHaveLength(2);
    const [head, line] = (await get("/api/usage/report?by=model&format=csv")).split("\r\n");
    expect(head).toMatch(/^name,requests,errors/);
    expect(line).toMatch(/^sim-small,3,0,/);
  });
});

describe("a report as CSV", () => {
  it("holds no formula", async () => {
    const text = [...csv([{ name: '=HYPERLINK("x"),' } as never])].join("");
    expect(text).toContain(`"'=HYPERLINK(""x""),"`);
  });
});
