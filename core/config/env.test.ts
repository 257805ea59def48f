import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { collectEnv, env, isMissing } from "./env.ts";
import { ConfigError, type Mistake } from "./mistakes.ts";

beforeEach(() => {
  vi.stubEnv("T_TEXT", "hello");
  vi.stubEnv("T_EMPTY", "");
  vi.stubEnv("T_INT", " 42 ");
  vi.stubEnv("T_BAD", "4.5");
  vi.stubEnv("T_YES", "Yes");
});
afterEach(() => vi.unstubAllEnvs());

test("reads texts, secrets, whole numbers and switches, with defaults", () => {
  expect(env("T_TEXT")).toBe("hello");
  expect(env("T_NONE", "default")).toBe("default");
  expect(env.secret("T_TEXT").reveal()).toBe("hello");
  expect(env.int("T_INT")).toBe(42);
  expect(env.int("T_NONE", 7)).toBe(7);
  expect(env.bool("T_YES")).toBe(true);
  expect(env.bool("T_NONE", false)).toBe(false);
});

test("an empty variable counts as absent", () => {
  expect(env.has("T_TEXT")).toBe(true);
  expect(env.has("T_EMPTY")).toBe(false);
  expect(env("T_EMPTY", "default")).toBe("default");
});

test("what is missing or does not parse is collected, each once, and stands in without being complained of again", async () => {
  const mistakes: Mistake[] = [];
  const values = await collectEnv(mistakes, async () => [
    env("T_NOPE"),
    env("T_NOPE"),
    `http://${env("T_NOPE")}/`,
    env.secret("T_EMPTY"),
    env.int("T_BAD"),
  ]);
  expect(mistakes.map(({ path, got }) => [path, got])).toEqual([
    ['env("T_NOPE")', "no such environment variable"],
    ['env("T_EMPTY")', "an empty environment variable"],
    ['env("T_BAD")', '"4.5"'],
  ]);
  expect(values.map(isMissing)).toEqual([true, true, true, true, true]);
  expect(isMissing("hello")).toBe(false);
});

test("outside a config file a missing variable throws at once", () => {
  expect(() => env("T_NOPE")).toThrow(ConfigError);
});
