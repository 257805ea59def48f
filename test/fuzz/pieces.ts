import fc from "fast-check";

/** What requests are made of: mostly what belongs in a place, now and then something else. */
export type Any = fc.Arbitrary<unknown>;

export const NAMES = ["__proto__", "constructor", "prototype", "toString", "then", "length", "0", "", "type", "role", "content", "model"];
const ODD_NUMBERS = [-1, 0, 1, 2, 1.5, -0, 1e21, 1e308, 2 ** 31, 2 ** 53, 2 ** 53 + 2, -(2 ** 63)];
const ODD_TEXTS = [
  "",
  "\0",
  "\ud800",
  "😀",
  "null",
  "[]",
  "{",
  '{"a":1}',
  "data:image/png;base64,",
  "data:,",
  "https://a",
  "<|endoftext|>",
];

/** What stands where something else belongs. */
export const junk: Any = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, [], {}, [[]], [null], [{}], { type: null }),
  fc.constantFrom<unknown>(...ODD_NUMBERS, ...ODD_TEXTS, ...NAMES),
  fc.jsonValue({ maxDepth: 2 }),
  fc.dictionary(fc.constantFrom(...NAMES), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }),
);

/** Once in so many times, another kind of value. */
export function or(ordinary: Any, seldom: Any = junk, times = 300): Any {
  return fc.oneof({ weight: times, arbitrary: ordinary }, { weight: 1, arbitrary: seldom });
}

export function one(...values: unknown[]): Any {
  return or(fc.constantFrom(...values));
}

/** One of the first values; once in thirty times one of the others. */
export function rather(good: readonly unknown[], bad: readonly unknown[]): Any {
  return or(one(...good), fc.constantFrom(...bad), 30);
}

export function list(item: Any, maxLength = 3, minLength = 0): Any {
  return or(fc.array(item, { minLength, maxLength }));
}

export type Members = Record<string, Any>;

/** An object with its `required` members, some of the `optional` ones, hardly ever a `rare` one, and never quite for sure. */
export function shape(required: Members, optional: Members = {}, rare: Members = {}): Any {
  const seldom = Object.fromEntries(Object.entries(rare).map(([name, arbitrary]) => [name, or(fc.constant(undefined), arbitrary, 40)]));
  const whole = fc.record({ ...required, ...optional, ...seldom }, { requiredKeys: [...Object.keys(required), ...Object.keys(seldom)] });
  const lacking = fc.record({ ...required, ...optional }, { requiredKeys: [] });
  const more = fc.dictionary(fc.constantFrom(...NAMES), junk, { maxKeys: 2 });
  const larger = fc.tuple(whole, more).map(([known, extra]) => ({ ...known, ...extra }));
  return or(whole, fc.oneof(lacking, larger, junk), 150);
}

export const text = or(fc.oneof(fc.string({ maxLength: 12, unit: "grapheme" }), fc.constantFrom(...ODD_TEXTS)));
export const id = one("call_1", "toolu_1", "a.b:c");
export const name = one("get_weather", "f", "a-b");
export const schema = shape(
  { type: one("object", "object", "string", "array", ["object", "null"]) },
  { properties: shape({ a: shape({ type: one("string", "integer", "boolean") }) }), required: list(one("a")) },
  { $ref: one("#", "#/$defs/a"), anyOf: list(junk), enum: list(junk), items: junk, const: junk, minimum: junk, pattern: text },
);
export const url = one("data:image/png;base64,AAAA", "https://example.com/a.png", "file:///a", "//x");
export const marker = shape({ type: one("ephemeral") }, { ttl: one("5m", "1h") });
export const tokens = rather([1, 5, 100, 4096], [0, -1, 1.5, "100", 2 ** 53]);
export const stream = or(fc.boolean(), junk, 20);
