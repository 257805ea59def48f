import { bind, type PersonalData, PersonalDataRegistry } from "headgate";
import { describe, expect, it } from "vitest";
import { personalDataOf } from "../../core/services/personal-data.ts";
import { ADMIN, AuthRig, type Body, onDatabases } from "../../test/support/auth-rig.ts";

/** Another plugin, which keeps notes about people and can fail to erase them. */
class Notebook implements PersonalData {
  readonly notes = new Map<string, string[]>();
  broken = false;

  async export(userId: string) {
    return { notebook: this.notes.get(userId) ?? [] };
  }

  async erase(userId: string) {
    if (this.broken) throw new Error("the disk is full");
    const count = this.notes.get(userId)?.length ?? 0;
    this.notes.delete(userId);
    return count;
  }
}

onDatabases((open) => {
  async function rigWithNotebook() {
    const notebook = new Notebook();
    let own: PersonalData | undefined;
    const registry = personalDataOf(() => [
      ["auth", own as PersonalData],
      ["notebook", notebook],
    ]);
    const rig = new AuthRig(await open(), {}, [bind(PersonalDataRegistry, registry)]);
    own = rig.hooks.personalData;
    const alice = await rig.user({ email: "alice@example.com", name: "Alice Ames", notes: "pays late" });
    const key = await rig.key({ user_id: alice.id, name: "Alice's laptop" });
    notebook.notes.set(alice.id, ["likes tea", "has a cat"]);
    return { rig, notebook, alice, key };
  }

  describe("what is kept about a person", () => {
    it("is given out whole: to managers, and to the person, who does not see what was noted; and without secrets", async () => {
      const { rig, alice, key } = await rigWithNotebook();
      const all: Body = await rig.api("GET", `/api/users/${alice.id}/export`, { caller: { ...ADMIN, role: "manager" } });
      expect(all).toMatchObject({
        user: { email: "alice@example.com", notes: "pays late" },
        keys: [{ id: key.id }],
        notebook: ["likes tea", "has a cat"],
      });
      const own: Body = await rig.api("GET", "/api/me/export", { caller: { ...ADMIN, role: "user", user: alice.id } });
      const { notes: _, ...seen } = all.user;
      expect(own).toEqual({ ...all, user: seen });
      expect(JSON.stringify(all)).not.toMatch(/hg_|"hash"/);
    });

    it("is erased in all plugins, with the keys, and leaves a proof that names nobody", async () => {
      const { rig, alice, key } = await rigWithNotebook();
      expect(await rig.outcome(key.key)).toBe("ok");
      const proof = await rig.api("POST", `/api/users/${alice.id}/erase`);
      expect(proof).toMatchObject({ counts: { auth: 2, notebook: 2 }, erased_by: "key_admin", finished_at: "2026-01-01T00:00:00.000Z" });
      expect(await rig.outcome(key.key)).toBe("invalid_api_key");
      await expect(rig.api("GET", `/api/users/${alice.id}`)).rejects.toMatchObject({ code: "not_found" });
      await expect(rig.api("GET", `/api/keys/${key.id}`)).rejects.toMatchObject({ code: "not_found" });
      const list: Body = await rig.api("GET", "/api/erasures");
      expect(list.data).toEqual([proof]);
      expect(JSON.stringify(list)).not.toMatch(/alice/i);
      expect(JSON.stringify(list)).not.toContain(alice.id);
    });

    it("is erased to the end by a second try where the first broke off, under one proof", async () => {
      const { rig, notebook, alice } = await rigWithNotebook();
      notebook.broken = true;
      await expect(rig.api("POST", `/api/users/${alice.id}/erase`)).rejects.toThrow("the disk is full");
      const begun: Body = await rig.api("GET", "/api/erasures");
      expect(begun.data).toEqual([expect.objectContaining({ finished_at: null })]);
      expect(await rig.api("GET", `/api/users/${alice.id}`)).toMatchObject({ name: "Alice Ames" });
      notebook.broken = false;
      const proof = await rig.api("POST", `/api/users/${alice.id}/erase`);
      expect(proof).toMatchObject({ id: begun.data[0].id, counts: { auth: 2, notebook: 2 } });
    });

    it("is nothing for a stranger, of whom no proof is kept; nobody erases themselves", async () => {
      const { rig, alice } = await rigWithNotebook();
      await expect(rig.api("POST", "/api/users/usr_stranger/erase")).rejects.toMatchObject({ code: "not_found" });
      await expect(rig.api("POST", `/api/users/${alice.id}/erase`, { caller: { ...ADMIN, user: alice.id } })).rejects.toMatchObject({
        code: "permission_denied",
      });
      expect((await rig.api("GET", "/api/erasures")).data).toEqual([]);
    });
  });
});
