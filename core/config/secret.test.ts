import { inspect } from "node:util";
import { expect, test } from "vitest";
import { masked } from "./masked.ts";
import { Secret, secret } from "./secret.ts";

test("a secret shows itself to nobody who does not ask", () => {
  const key = new Secret("sk-12345");
  expect([`${key}`, JSON.stringify({ key }), inspect({ key }), inspect(key, { showHidden: true })].join()).not.toContain("12345");
  expect(Object.values(key)).toEqual([]);
  expect(key.reveal()).toBe("sk-12345");
});

test("an option takes a text or a secret, and gives a secret", () => {
  const key = new Secret("a");
  expect(secret().parse(key)).toBe(key);
  expect(secret().parse("b").reveal()).toBe("b");
  expect(secret().safeParse("").success).toBe(false);
  expect(secret().safeParse(5).success).toBe(false);
});

test("what is printed of options hides secrets, telling names and credentials in URLs", () => {
  class Store {}
  const options = {
    key: new Secret("aaa"),
    apiKey: "bbb",
    headers: { authorization: "Bearer ccc" },
    url: "postgres://me:ddd@db/x",
    maxTokens: 5,
    list: ["plain"],
    store: new Store(),
    pick: function pick() {},
  };
  expect(masked(options)).toEqual({
    key: "***",
    apiKey: "***",
    headers: { authorization: "***" },
    url: "postgres://***@db/x",
    maxTokens: 5,
    list: ["plain"],
    store: "[Store]",
    pick: "[function pick]",
  });
});
