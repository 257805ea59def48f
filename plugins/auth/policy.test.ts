import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressRefusal, allowedTargets, matches, type Policy, parseRange, policyOf, routeRefusal } from "./policy.ts";

const policy = (restrictions: Partial<Policy["restrictions"]>, loopback = false) =>
  policyOf({ models: null, routes: null, ips: null, ...restrictions }, loopback) as Policy;

const place = (name: string) => {
  const slash = name.indexOf("/");
  return { provider: name.slice(0, slash), model: name.slice(slash + 1) };
};

describe("models of a key", () => {
  const allowed = (models: string[], targets: string[], alias?: string) =>
    allowedTargets(policy({ models }), alias, targets.map(place)).map(({ provider, model }) => `${provider}/${model}`);

  it.each([
    [["openai/*"], ["openai/gpt-5", "anthropic/claude"], ["openai/gpt-5"]],
    [["gpt-*"], ["openai/gpt-5", "azure/gpt-5-mini", "xai/grok"], ["openai/gpt-5", "azure/gpt-5-mini"]],
    [["*"], ["openai/gpt-5"], ["openai/gpt-5"]],
    [["*mini*"], ["openai/gpt-5-mini", "openai/gpt-5"], ["openai/gpt-5-mini"]],
    [["openai/gpt-5"], ["openai/gpt-5-mini", "OpenAI/gpt-5"], []],
    [["openai.*", "[a-z]*", "(.*)"], ["openai/gpt-5"], []],
  ])("%j of %j are %j", (models, targets, expected) => expect(allowed(models, targets)).toEqual(expected));

  it("an alias that is allowed brings all its targets, one that is not none of its own", () => {
    expect(allowed(["fast"], ["openai/gpt-5", "xai/grok"], "fast")).toEqual(["openai/gpt-5", "xai/grok"]);
    expect(allowed(["fast"], ["openai/gpt-5"], "smart")).toEqual([]);
    expect(allowed(["fast"], ["openai/gpt-5"])).toEqual([]);
  });

  it("a pattern matches what the same regular expression does, and takes no more than linear-ish time on the worst", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "/", "*"), maxLength: 12 });
    const property = fc.property(letters, fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 16 }), (glob, text) => {
      const pattern = new RegExp(`^${glob.replaceAll(/\*+/g, ".*")}$`);
      expect(matches(glob, text)).toBe(pattern.test(text));
    });
    fc.assert(property, { numRuns: 5_000 });
    const before = performance.now();
    expect(matches(`${"*a".repeat(100)}*b`, "a".repeat(100_000))).toBe(false);
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});

describe("addresses of a key", () => {
  const may = (ips: string[], ip: string) => addressRefusal(policy({ ips }), ip, {}) === undefined;

  it.each([
    [["10.0.0.0/8"], "10.1.2.3", true],
    [["10.0.0.0/8"], "11.1.2.3", false],
    [["10.0.0.0/8"], "::ffff:10.1.2.3", true],
    [["192.0.2.7"], "192.0.2.7", true],
    [["192.0.2.7"], "192.0.2.8", false],
    [["2001:db8::/32"], "2001:db8:1::1", true],
    [["2001:db8::/32"], "2001:db9::1", false],
    [["2001:db8::1", "10.0.0.0/8"], "10.0.0.1", true],
    [["::/0"], "10.0.0.1", false],
    [["10.0.0.0/8"], "", false],
    [["10.0.0.0/8"], "10.1.2.3, 127.0.0.1", false],
  ])("%j and %s: %s", (ips, ip, expected) => expect(may(ips, ip)).toBe(expected));

  it.each(["10", "0x7f.1", "1.2.3", "1.2.3.4/33", "::1/129", "localhost", "", "10.0.0.0/-1", "1.2.3.4/8/8"])("%j is no address", (text) =>
    expect(parseRange(text)).toBeUndefined(),
  );

  it("a refusal says which are allowed, not all of a long list", () => {
    const ips = Array.from({ length: 50 }, (_, at) => `10.0.0.${at}`);
    expect(addressRefusal(policy({ ips }), "192.0.2.1", {})).toMatch(/10\.0\.0\.9 and 40 more\.$/);
  });

  it("the development key works on this machine alone, also not through a proxy on it", () => {
    const here = (ip: string, headers = {}) => addressRefusal(policy({}, true), ip, headers) === undefined;
    expect(["127.0.0.1", "::1", "::ffff:127.0.0.1"].map((ip) => here(ip))).toEqual([true, true, true]);
    expect(here("192.0.2.1")).toBe(false);
    expect(here("127.0.0.1", { "x-forwarded-for": "192.0.2.1" })).toBe(false);
    expect(here("127.0.0.1", { forwarded: "for=192.0.2.1" })).toBe(false);
  });
});

it("routes of a key: what is not among them is refused, with what is", () => {
  expect(routeRefusal(policy({ routes: ["chat", "models"] }), "chat")).toBeUndefined();
  expect(routeRefusal(policy({ routes: ["chat", "models"] }), "api")).toBe("This key may not be used for api; it may for chat, models.");
});

it("a key without restrictions has nothing to check", () => {
  expect(policyOf({ models: null, routes: null, ips: null })).toBeUndefined();
});
