import { describe, expect, it } from "vitest";
import { GatewayError } from "../errors.ts";
import { collect, exchange, textOf } from "./exchange.ts";
import { jsonReply, streamReply } from "./replies.ts";

describe("exchange()", () => {
  it("needs nothing, and takes what it is given", () => {
    const plain = exchange();
    expect(plain.request).toMatchObject({ model: "test-model", messages: [{ role: "user", content: "Hello" }] });
    expect(plain.target).toEqual({ provider: "test", model: "test-model" });
    const made = exchange({ operation: "embeddings", request: { model: "e", input: "x" }, headers: { "x-a": "1" }, reply: jsonReply() });
    expect(made.request).toEqual({ model: "e", input: "x" });
    expect([made.requestedModel, made.client.headers["x-a"], made.reply?.kind]).toEqual(["e", "1", "json"]);
  });

  it("aborts as a client that leaves", () => {
    const call = exchange();
    call.abort();
    expect(call.signal.reason).toMatchObject({ code: "client_closed" });
  });

  it("settles once, latest registered first, and throws what a callback threw after all have run", async () => {
    const call = exchange();
    const seen: string[] = [];
    call.onSettled(() => void seen.push("first"));
    call.onSettled(async () => {
      seen.push("second");
      throw new Error("ledger is full");
    });
    await expect(call.settle({ kind: "cut" })).rejects.toThrow("ledger is full");
    await call.settle();
    expect(seen).toEqual(["second", "first"]);
  });

  it("streams an answer, broken off when asked", async () => {
    expect(textOf(await collect(streamReply({ text: "one two" }).stream))).toBe("one two");
    const broken = streamReply({ text: "one two" }, new GatewayError("upstream_cut"));
    await expect(collect(broken.stream)).rejects.toMatchObject({ code: "upstream_cut" });
  });
});
