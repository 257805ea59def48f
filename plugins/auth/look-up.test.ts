import { FakeClock } from "headgate/testing";
import { describe, expect, it } from "vitest";
import { LookUp } from "./look-up.ts";

const MINUTE = 60_000;

interface Row {
  readonly name: string;
}

/** A table that can be away, slow or changed, and counts what it is asked. */
class Table {
  readonly clock = new FakeClock();
  readonly rows = new Map<string, Row>();
  asked: string[] = [];
  /** `hang` answers when `release` is called. */
  state: "there" | "away" | "hang" = "there";
  release: () => void = () => undefined;
  readonly memory = new LookUp<Row>(this.clock, async (key) => {
    this.asked.push(key);
    const row = this.rows.get(key);
    if (this.state === "away") throw new Error("connection refused");
    if (this.state === "hang") await new Promise<void>((resolve) => (this.release = resolve));
    return row;
  });

  async find(key: string): Promise<string> {
    try {
      return (await this.memory.find(key))?.name ?? "none";
    } catch (error) {
      return (error as { code: string }).code;
    }
  }
}

function tableWith(...names: string[]): Table {
  const table = new Table();
  for (const name of names) table.rows.set(name, { name });
  return table;
}

describe("a look-up that remembers", () => {
  it("asks once for what it knows, and answers without waiting from then on", async () => {
    const table = tableWith("alice");
    expect(table.memory.recall("alice")).toBeUndefined();
    expect(await table.find("alice")).toBe("alice");
    await table.clock.advance(4 * MINUTE - 1);
    expect(table.memory.recall("alice")).toEqual({ name: "alice" });
    expect(table.asked).toEqual(["alice"]);
  });

  it("asks once for many who want the same at once", async () => {
    const table = tableWith("alice");
    expect(await Promise.all(Array.from({ length: 100 }, () => table.find("alice")))).toEqual(Array(100).fill("alice"));
    expect(table.asked).toEqual(["alice"]);
  });

  it("renews in the background before five minutes are over, so that nobody waits", async () => {
    const table = tableWith("alice");
    await table.find("alice");
    table.rows.set("alice", { name: "alice, changed" });
    await table.clock.advance(4 * MINUTE);
    expect(table.memory.recall("alice")).toEqual({ name: "alice" });
    expect(table.memory.recall("alice")).toEqual({ name: "alice" });
    await table.clock.advance(1);
    expect(table.asked).toEqual(["alice", "alice"]);
    expect(table.memory.recall("alice")).toEqual({ name: "alice, changed" });
  });

  it("does not trust after five minutes what nobody has asked for since", async () => {
    const table = tableWith("alice");
    await table.find("alice");
    table.rows.delete("alice");
    await table.clock.advance(5 * MINUTE);
    expect(table.memory.recall("alice")).toBeUndefined();
    expect(await table.find("alice")).toBe("none");
  });

  it("remembers for ten seconds that there is nothing", async () => {
    const table = tableWith();
    expect(await table.find("mallory")).toBe("none");
    expect(table.memory.recall("mallory")).toBeNull();
    for (let at = 0; at < 50; at++) expect(await table.find("mallory")).toBe("none");
    expect(table.asked).toHaveLength(1);
    table.rows.set("mallory", { name: "mallory" });
    await table.clock.advance(10_000);
    expect(await table.find("mallory")).toBe("mallory");
  });

  it("serves what it knew for fifteen minutes more while the table is away, and nothing else", async () => {
    const table = tableWith("alice", "bob");
    await table.find("alice");
    table.state = "away";
    expect(await table.find("bob")).toBe("dependency_unavailable");
    for (let minute = 0; minute < 19; minute++) {
      await table.clock.advance(MINUTE);
      expect(await table.find("alice"), `after ${minute + 1} minutes`).toBe("alice");
    }
    await table.clock.advance(MINUTE);
    expect(await table.find("alice")).toBe("dependency_unavailable");
    table.state = "there";
    await table.clock.advance(250);
    expect(await table.find("alice")).toBe("alice");
    expect(await table.find("bob")).toBe("bob");
  });

  it("waits a quarter of a second at most for a table that hangs, and then not at all for a while", async () => {
    const table = tableWith("alice");
    await table.find("alice");
    await table.clock.advance(6 * MINUTE);
    table.state = "hang";
    const before = table.clock.monotonic();
    expect(await table.clock.runUntil(table.find("alice"))).toBe("alice");
    expect(table.clock.monotonic() - before).toBe(250);
    expect(await table.find("alice")).toBe("alice");
    expect(await table.find("bob")).toBe("dependency_unavailable");
    expect(table.clock.monotonic() - before).toBe(250);
    table.release();
  });

  it("holds back a flood of questions that a table does not keep up with", async () => {
    const table = tableWith();
    table.state = "hang";
    const answers = Array.from({ length: 1_000 }, (_, at) => table.find(`stranger ${at}`));
    await table.clock.advance(250);
    expect(new Set(await Promise.all(answers))).toEqual(new Set(["dependency_unavailable"]));
    expect(table.asked.length).toBeLessThanOrEqual(200);
  });

  it("looks up anew what is said to have changed, before it trusts it again", async () => {
    const table = tableWith("alice", "bob");
    await Promise.all([table.find("alice"), table.find("bob")]);
    table.rows.set("alice", { name: "alice, changed" });
    table.memory.renew(({ name }) => name === "alice");
    expect(table.memory.recall("alice")).toBeUndefined();
    expect(table.memory.recall("bob")).toEqual({ name: "bob" });
    expect(await table.find("alice")).toBe("alice, changed");
    table.rows.delete("bob");
    table.memory.distrust();
    expect(await table.find("bob")).toBe("none");
  });

  it("says of what is over that there is nothing, however long the table is away, and an answer from before does not undo it", async () => {
    const table = tableWith("alice");
    await table.find("alice");
    table.memory.distrust();
    table.state = "hang";
    const late = table.find("alice");
    table.memory.bury("alice");
    table.release();
    await late;
    expect(table.memory.recall("alice")).toBeUndefined();
    table.state = "away";
    expect(await table.find("alice")).toBe("none");
    await table.clock.advance(60 * MINUTE);
    expect(await table.find("alice")).toBe("none");
  });

  it("keeps an answer that was under way when anything may have changed, for when the table goes away, and asks again before", async () => {
    const table = tableWith("alice", "bob");
    table.state = "hang";
    const early = table.find("alice");
    table.memory.distrust();
    table.release();
    expect(await early).toBe("alice");
    table.state = "away";
    expect(await table.find("alice")).toBe("alice");
    table.state = "there";
    table.rows.set("alice", { name: "alice, changed" });
    await table.clock.advance(250);
    expect(await table.find("alice")).toBe("alice, changed");
  });

  it("does not let an answer from before anything changed stand before a newer one", async () => {
    const table = tableWith("alice");
    table.state = "hang";
    const early = table.find("alice");
    const { release } = table;
    table.memory.distrust();
    table.state = "there";
    table.rows.set("alice", { name: "alice, changed" });
    expect(await table.find("alice")).toBe("alice, changed");
    release();
    await early;
    expect(table.memory.recall("alice")).toEqual({ name: "alice, changed" });
  });

  it("keeps a bounded number of both, those in use first", async () => {
    const table = tableWith("alice", ...Array.from({ length: 30_000 }, (_, at) => `user ${at}`));
    await table.find("alice");
    for (let at = 0; at < 30_000; at++) {
      await table.find(`user ${at}`);
      await table.find(`stranger ${at}`);
      table.memory.recall("alice");
    }
    expect(table.memory.size).toBeLessThanOrEqual(20_000);
    expect(table.memory.recall("alice")).toEqual({ name: "alice" });
    expect(table.memory.recall("user 0")).toBeUndefined();
  });
});
