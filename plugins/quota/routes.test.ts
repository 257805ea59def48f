import { type ApiRequest, bind, Catalogue, Database, Directory } from "headgate";
import { quota } from "headgate/plugins";
import { fakeServices } from "headgate/testing";
import { expect, it } from "vitest";
import { memoryDatabase } from "../../test/support/memory-database.ts";
import { migrations } from "./tables.ts";

const ANN: Directory = {
  user: async (id) => (id === "usr_ann" ? { email: null, name: "ann", plan: "small", role: "user" } : undefined),
};

/** The plugin's routes on a database of their own; one user, `usr_ann`, on the plan `small`. */
async function open(directory = ANN) {
  const db = await memoryDatabase(migrations);
  const { scope } = fakeServices([bind(Database, db), bind(Directory, directory), bind(Catalogue, {} as Catalogue)]);
  const { definition } = quota({ plans: { small: ["1000 tokens/day"] }, overrides: { min: 0.5, max: 2 } });
  const options = definition.options.parse({ plans: { small: ["1000 tokens/day"] }, overrides: { min: 0.5, max: 2 } });
  const hooks = definition.setup(options, scope.inject(definition.inject ?? {}));
  const call = async (method: string, path: string, body: object = {}, id = "usr_ann") => {
    const route = hooks.routes?.find((each) => each.method === method && each.path === path);
    const request = { params: { id }, query: {}, body, caller: undefined, ip: "", requestId: "", signal: new AbortController().signal };
    return (await route?.handle(request as unknown as ApiRequest))?.body;
  };
  return { call, personal: hooks.personalData };
}

it("books a purchase once for each reference, and takes back no more than is left", async () => {
  const { call } = await open();
  const buy = (amount: number, reference: string) =>
    call("POST", "/api/users/:id/transactions", { unit: "tokens", amount, reference }) as Promise<{ id: string; balance: number }>;
  const first = await buy(500, "inv-1");
  expect(first.balance).toBe(500);
  expect(await buy(500, "inv-1")).toEqual(first);
  await expect(buy(600, "inv-1")).rejects.toMatchObject({ code: "conflict", param: "reference" });
  await expect(buy(-501, "inv-2")).rejects.toMatchObject({ code: "conflict", param: "amount" });
  expect((await buy(-100, "inv-3")).balance).toBe(400);
});

it("gives a user a limit within the bounds, and takes it away again", async () => {
  const { call } = await open();
  const set = async (body: object) => (await call("PATCH", "/api/users/:id/limits", body)) as { limits: { limit: number }[] };
  expect((await set({ limit: "2000 tokens/day" })).limits[0]?.limit).toBe(2_000);
  for (const limit of ["2001 tokens/day", "499 tokens/day", "2000 tokens/month", "nonsense"]) {
    await expect(set({ limit })).rejects.toMatchObject({ code: "invalid_request", param: "limit" });
  }
  expect((await set({ limit: "2000 tokens/day", remove: true })).limits[0]?.limit).toBe(1_000);
  await expect(call("GET", "/api/users/:id/quota", {}, "usr_nobody")).rejects.toMatchObject({ code: "not_found" });
});

it("a user who cannot be looked up is not taken for nobody", async () => {
  const { call } = await open({ user: () => Promise.reject(new Error("the database is away")) });
  await expect(call("GET", "/api/users/:id/quota")).rejects.toThrow("the database is away");
});

it("forgets a user: limits go, purchases stay without a name, and doing it again changes nothing", async () => {
  const { call, personal } = await open();
  await call("PATCH", "/api/users/:id/limits", { limit: "2000 tokens/day" });
  await call("POST", "/api/users/:id/transactions", { unit: "tokens", amount: 5, reference: "inv-1", note: "for Ann" });
  expect((await personal?.export("usr_ann"))?.purchases).toHaveLength(1);
  expect(await personal?.erase("usr_ann")).toBe(3);
  expect(await personal?.erase("usr_ann")).toBe(0);
  expect(JSON.stringify(await personal?.export("usr_ann"))).not.toMatch(/Ann|inv-1/);
});
