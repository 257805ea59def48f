import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AuthRig, onDatabases } from "../../test/support/auth-rig.ts";
import { injections } from "../../test/support/sql-injections.ts";
import type { Tables } from "./tables.ts";

onDatabases((open) => {
  describe("E1: SQL in what a client sends", () => {
    it("is a wrong key, an unknown id or a text like any other, and touches no table", async () => {
      const db = await open();
      const rig = new AuthRig(db, { failuresPerMinute: 1_000_000 });
      const app = await rig.key({ trusted: true });
      const before = await db.tables<Tables>().selectFrom("keys").selectAll().execute();
      expect(injections.length).toBeGreaterThanOrEqual(100);
      for (const text of injections) {
        expect(await rig.outcome(text)).toBe("invalid_api_key");
        expect((await rig.call({ "x-api-key": `${app.key}${text}` })).error?.code).toBe("invalid_api_key");
        for (const path of ["/api/keys/", "/api/users/"]) {
          await expect(rig.api("GET", path + encodeURIComponent(text))).rejects.toMatchObject({ code: "not_found" });
        }
      }
      expect(await db.tables<Tables>().selectFrom("keys").selectAll().execute()).toEqual(before);
    });

    it("as the id of an end user names that user and nobody else", async () => {
      const db = await open();
      const rig = new AuthRig(db);
      const app = await rig.key({ trusted: true });
      const seen = new Map<string, string>();
      for (const [at, text] of injections.entries()) {
        if (at % 50 === 0) await rig.clock.advance(60_000);
        const { caller } = await rig.call({ "x-api-key": app.key }, { request: { user: text } });
        if (caller?.user) seen.set(text.trim(), caller.user);
      }
      expect(seen.size).toBeGreaterThan(90);
      expect(new Set(seen.values()).size).toBe(seen.size);
      const users = await db.tables<Tables>().selectFrom("users").select("external_id").execute();
      expect(users.map(({ external_id }) => external_id).toSorted()).toEqual(
        [...seen.keys()].map((text) => `forwarded/${text}`).toSorted(),
      );
    });
  });

  describe("E2: something that is nearly a key", () => {
    it("is none: prefixes, case, spaces and line breaks, while the key itself is warm", async () => {
      const rig = new AuthRig(await open(), { failuresPerMinute: 1_000_000 });
      const { key } = await rig.key();
      expect(await rig.outcome(key)).toBe("ok");
      const near = [
        ...Array.from({ length: key.length }, (_, length) => key.slice(0, length)).filter((text) => text !== ""),
        key.toUpperCase(),
        key.toLowerCase(),
        ...[" ", "\n", "\t", "\0", "=", "/", "\u200b"].flatMap((more) => [key + more, key.slice(0, 5) + more + key.slice(5)]),
        ...Array.from({ length: key.length - 3 }, (_, at) => key.slice(0, at + 3) + (key[at + 3] === "A" ? "B" : "A") + key.slice(at + 4)),
        key + key,
        key + "x".repeat(1_000_000),
      ];
      for (const text of near)
        expect((await rig.call({ "x-api-key": text })).error?.code, JSON.stringify(text.slice(0, 80))).toBe("invalid_api_key");
      expect(await rig.outcome(key)).toBe("ok");
    });

    it("is none, whatever it is", async () => {
      const rig = new AuthRig(await open(), { failuresPerMinute: 1_000_000 });
      const { key } = await rig.key();
      await rig.who(key);
      const property = fc.asyncProperty(fc.string({ unit: "binary", minLength: 1, maxLength: 80 }), async (text) => {
        expect((await rig.call({ "x-api-key": text })).error?.code).toBe("invalid_api_key");
      });
      await fc.assert(property, { numRuns: 500 });
    });

    it("costs no hashing when it is huge", async () => {
      const rig = new AuthRig(await open());
      const { error } = await rig.call({ "x-api-key": "x".repeat(513) });
      expect(error?.message).toBe("The API key …xxxx is not known here.");
    });
  });

  it("E8: templates in names and ids are texts", async () => {
    const rig = new AuthRig(await open());
    const app = await rig.key({ trusted: true });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is meant to be one that nobody fills in
    for (const text of ["${7*7}", "<%= 7*7 %>", "__proto__", "constructor", "$1", ".*"]) {
      const { caller } = await rig.call({ "x-api-key": app.key, "x-user-id": text, "x-user-name": text });
      expect(caller?.name).toBe(text);
      const key = await rig.key({ name: text, models: [text] });
      expect(await rig.outcome(key.key, { targets: [{ provider: "openai", model: text === ".*" ? "gpt-5" : "49" }] })).toBe(
        "permission_denied",
      );
    }
    expect(Object.prototype).not.toHaveProperty("polluted");
  });

  describe("E14: guessing keys", () => {
    const guess = (at: number) => `hg_${String(at).padStart(43, "0")}`;

    it("costs the database a hundred questions a minute for one address, and harms no other caller", async () => {
      const db = await open();
      let asked = 0;
      const counting = {
        ...db,
        tables: <T>() => {
          asked += 1;
          return db.tables<T>();
        },
      };
      for (const name of ["transaction", "publish", "subscribe", "reports", "health"] as const) counting[name] = db[name].bind(db) as never;
      const rig = new AuthRig(counting);
      const [seen, fresh] = [await rig.key(), await rig.key()];
      await rig.who(seen.key);
      asked = 0;
      const codes = new Map<string, number>();
      for (let at = 0; at < 10_000; at++) {
        const code = await rig.outcome(guess(at));
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
      expect(Object.fromEntries(codes)).toEqual({ invalid_api_key: 100, rate_limited: 9_900 });
      expect(asked).toBe(100);
      expect(await rig.outcome(seen.key), "a key that is known, from the very address").toBe("ok");
      expect(await rig.outcome(fresh.key, { ip: "192.0.2.1" }), "any key from another").toBe("ok");
      expect((await rig.call({ "x-api-key": guess(1) })).error).toMatchObject({ code: "rate_limited", retryAfter: 60 });
      await rig.clock.advance(60_000);
      expect(await rig.outcome(guess(1))).toBe("invalid_api_key");
    });

    it("with the same wrong key asks the database once in ten seconds", async () => {
      const rig = new AuthRig(await open(), { failuresPerMinute: 1_000_000 });
      for (let at = 0; at < 1_000; at++) expect(await rig.outcome(guess(7))).toBe("invalid_api_key");
    });

    it("from all over one IPv6 network counts as one address", async () => {
      const rig = new AuthRig(await open());
      const from = (at: number) => rig.outcome(guess(at), { ip: `2001:db8:0:1::${at.toString(16)}` });
      for (let at = 0; at < 100; at++) expect(await from(at)).toBe("invalid_api_key");
      expect(await from(100)).toBe("rate_limited");
      expect(await rig.outcome(guess(1), { ip: "2001:db8:0:2::1" })).toBe("invalid_api_key");
    });
  });

  // Again where the machine was busy with something else; what leaks, leaks each time.
  describe("E12: time tells nothing of a key", { retry: 2, timeout: 60_000 }, () => {
    it("wrong keys that begin like a good one take as long as any (Welch's t-test, 10,000 each)", async () => {
      const rig = new AuthRig(await open(), { failuresPerMinute: 1_000_000 });
      const { key } = await rig.key();
      await rig.who(key);
      const times: Record<"alike" | "random", number[]> = { alike: [], random: [] };
      const statuses = new Set<number | undefined>();
      const suffix = (at: number) => String(at).padStart(8, "0");
      for (let at = 0; at < 11_000; at++) {
        const kinds = at % 2 === 0 ? (["alike", "random"] as const) : (["random", "alike"] as const);
        for (const kind of kinds) {
          const made = kind === "alike" ? key.slice(0, -8) + suffix(at) : `hg_${suffix(at * 7919)}${"Zq-7_".repeat(7)}`;
          // As a key comes in: in one piece. V8 leaves what was joined in parts until it is read, which would be timed here.
          const text = Buffer.from(made).toString();
          const before = process.hrtime.bigint();
          const { error } = await rig.call({ "x-api-key": text });
          if (at >= 1_000) times[kind].push(Number(process.hrtime.bigint() - before));
          statuses.add(error?.status);
        }
      }
      expect([...statuses]).toEqual([401]);
      expect(Math.abs(welch(trimmed(times.alike), trimmed(times.random)))).toBeLessThan(4.5);
    });
  });
});

/** Without the slowest tenth, which is the machine's doing. */
function trimmed(times: readonly number[]): number[] {
  return times.toSorted((one, other) => one - other).slice(0, Math.floor(times.length * 0.9));
}

/** B. L. Welch, "The generalization of Student's problem", Biometrika 34, 1947: the statistic. */
function welch(one: readonly number[], other: readonly number[]): number {
  const [first, second] = [one, other].map((times) => {
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    return { mean, error: times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (times.length - 1) / times.length };
  }) as [{ mean: number; error: number }, { mean: number; error: number }];
  return (first.mean - second.mean) / Math.sqrt(first.error + second.error);
}
