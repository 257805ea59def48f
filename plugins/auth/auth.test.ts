import { describePlugin } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { AuthRig, authBindings, DEVELOPMENT_KEY } from "../../test/support/auth-rig.ts";
import { memoryDatabase } from "../../test/support/memory-database.ts";
import { auth } from "./index.ts";
import { migrations } from "./tables.ts";

const database = await memoryDatabase(migrations);
describePlugin("auth", auth, {
  options: { developmentKey: DEVELOPMENT_KEY },
  services: () => authBindings(database),
  exchange: { headers: { authorization: `Bearer ${DEVELOPMENT_KEY}` } },
});

describe("an API key", () => {
  it("lets its caller in, wherever clients put it", async () => {
    const rig = new AuthRig(await memoryDatabase(migrations));
    const { id, key } = await rig.key({ role: "viewer" });
    expect(key).toMatch(/^hg_[\w-]{43}$/);
    const places: Record<string, string>[] = [
      { authorization: `Bearer ${key}` },
      { authorization: `bearer ${key}` },
      { "x-api-key": key },
      { "api-key": key },
      { "x-goog-api-key": key },
    ];
    for (const headers of places) {
      const { caller } = await rig.call(headers);
      expect(caller).toEqual({ user: null, key: id, team: null, plan: "trial", segment: "standard", role: "viewer", name: "test" });
    }
  });
});
