import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import type { Json, JsonObject } from "headgate";
import { describe, expect, it } from "vitest";
import { diceOf } from "./dice.ts";
import { exampleOf } from "./example.ts";

const ajv = new Ajv2020({ strict: false, validateFormats: false });

function check(schema: JsonObject, seed: number): Json {
  const value = exampleOf(schema, diceOf(seed));
  const valid = ajv.validate(schema, value);
  expect(valid, `${JSON.stringify(value)} for ${JSON.stringify(schema)}: ${ajv.errorsText()}`).toBe(true);
  return value;
}

const bounds = (low: string, high: string, max: number) =>
  fc.tuple(fc.nat(max), fc.nat(max), fc.boolean(), fc.boolean()).map(([a, b, withLow, withHigh]) => ({
    ...(withLow && { [low]: Math.min(a, b) }),
    ...(withHigh && { [high]: Math.max(a, b) + 1 }),
  }));

const { schema: schemas } = fc.letrec<{ schema: JsonObject }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    fc.record({ type: fc.constant("string") }).chain((base) => bounds("minLength", "maxLength", 20).map((more) => ({ ...base, ...more }))),
    fc
      .tuple(fc.constantFrom("integer", "number"), bounds("minimum", "maximum", 1_000), fc.constantFrom({}, { multipleOf: 1 }))
      .map(([type, range, step]) => ({ type, ...range, ...step })),
    fc.tuple(fc.integer(), fc.integer({ min: 2, max: 50 })).map(([at, span]) => ({
      type: "integer",
      exclusiveMinimum: at,
      exclusiveMaximum: at + span,
    })),
    fc.constantFrom<JsonObject>(
      { type: "boolean" },
      { type: "null" },
      { const: { a: [1] } },
      { enum: ["a", 1, null] },
      { type: ["null", "string"] },
      {},
    ),
    fc.tuple(tie("schema"), bounds("minItems", "maxItems", 4)).map(([items, range]) => ({ type: "array", items, ...range })),
    fc
      .dictionary(fc.string({ minLength: 1, maxLength: 6 }), tie("schema"), { maxKeys: 4 })
      .map((properties) => ({ type: "object", properties, required: Object.keys(properties).slice(0, 2), additionalProperties: false })),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  ),
}));

describe("an example for a JSON schema", () => {
  it("is accepted by that schema, whatever it is", () => {
    fc.assert(
      fc.property(schemas, fc.integer(), (schema, seed) => void check(schema, seed)),
      { numRuns: 500 },
    );
  });

  it.each<[string, JsonObject]>([
    ["a local reference", { $ref: "#/$defs/a~1b", $defs: { "a/b": { type: "integer", minimum: 7, maximum: 7 } } }],
    ["definitions of the old name", { properties: { x: { $ref: "#/definitions/x" } }, required: ["x"], definitions: { x: { const: 1 } } }],
    [
      "a tree",
      {
        $ref: "#/$defs/node",
        $defs: {
          node: {
            type: "object",
            properties: { name: { type: "string" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
            required: ["name", "children"],
          },
        },
      },
    ],
    [
      "a list linked by anyOf",
      {
        type: "object",
        properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
        required: ["next"],
        additionalProperties: false,
      },
    ],
    [
      "allOf",
      {
        allOf: [
          { properties: { a: { const: 1 } }, required: ["a"] },
          { properties: { b: { const: 2 } }, required: ["b"] },
        ],
      },
    ],
    ["unique items", { type: "array", items: { enum: ["a", "b", "c"] }, minItems: 3, uniqueItems: true }],
    ["a tuple", { type: "array", prefixItems: [{ const: 1 }, { type: "string" }], items: false, minItems: 2 }],
    ["steps", { type: "number", multipleOf: 0.25, exclusiveMinimum: 1, maximum: 1.25 }],
    ["negative bounds", { type: "integer", maximum: -5 }],
    ["a required property without a schema", { type: "object", required: ["free"] }],
  ])("fits %s", (_name, schema) => {
    for (let seed = 1; seed <= 20; seed++) check(schema, seed);
  });

  it("follows formats, and takes a value where it can from an optional branch", () => {
    expect(exampleOf({ type: "string", format: "date" }, diceOf(1))).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(exampleOf({ anyOf: [{ type: "null" }, { const: 3 }] }, diceOf(1))).toBe(3);
  });

  it("ends soon for schemas that nothing can satisfy or that explode", () => {
    const twins = { type: "object", properties: { a: { $ref: "#" }, b: { $ref: "#" } }, required: ["a", "b"] };
    const started = performance.now();
    for (const schema of [
      twins,
      { allOf: [{ $ref: "#" }, { $ref: "#" }] },
      { anyOf: [{ $ref: "#" }] },
      { $ref: "#" },
      { type: "array", minItems: 1e9, items: { type: "array", minItems: 1e9 } },
      { type: "string", minLength: 1e12 },
    ]) {
      exampleOf(schema, diceOf(1));
    }
    expect(performance.now() - started).toBeLessThan(500);
  });

  it("keeps dangerous names as plain members", () => {
    const schema = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"object","properties":{"polluted":{"const":true}}}}}');
    const value = exampleOf(schema, diceOf(1));
    expect(Object.hasOwn(value as object, "__proto__")).toBe(true);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(exampleOf({ $ref: "#/constructor/prototype" }, diceOf(1))).toEqual(expect.any(String));
  });
});
