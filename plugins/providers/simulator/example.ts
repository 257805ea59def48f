import type { Json, JsonObject } from "headgate";
import type { Dice } from "./dice.ts";

/** From this depth on a value is kept as small as its schema allows, so that recursive schemas come to an end. */
const SMALL_FROM = 6;
/** Past either of these a schema cannot be satisfied by anything finite that is worth making: the value is null. */
const DEEPEST = 24;
const MOST_VALUES = 5_000;
const MOST_ITEMS = 64;
const LONGEST_TEXT = 4_096;

const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "2026-01-15T09:30:00Z",
  date: "2026-01-15",
  time: "09:30:00Z",
  duration: "PT1H",
  email: "someone@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  uri: "https://example.com/",
  uuid: "0f8fad5b-d9cb-469f-a165-70867728950e",
};

/**
 * A value that a JSON schema accepts, the same for the same dice. Honours type, const, enum, properties, required, items,
 * prefixItems, the bounds of numbers, strings and arrays, multipleOf, uniqueItems, format, anyOf, oneOf, allOf and local
 * $ref; not pattern, not, if or the bounds on the number of properties.
 */
export function exampleOf(schema: Json | undefined, dice: Dice): Json {
  return new Example(schema, dice).value(schema, 0, "value");
}

class Example {
  readonly #root: Json | undefined;
  readonly #dice: Dice;
  /** Schemas looked at so far. */
  #made = 0;

  constructor(root: Json | undefined, dice: Dice) {
    this.#root = root;
    this.#dice = dice;
  }

  value(given: Json | undefined, depth: number, name: string): Json {
    if (depth > DEEPEST || this.#made > MOST_VALUES || given === false) return null;
    const schema = this.#flatten(given, depth);
    if (schema.const !== undefined) return schema.const;
    if (isList(schema.enum) && schema.enum.length > 0) return schema.enum[this.#dice.roll(schema.enum.length)] ?? null;
    switch (typeOf(schema, depth)) {
      case "object":
        return this.#object(schema, depth);
      case "array":
        return this.#array(schema, depth, name);
      case "integer":
        return this.#number(schema, 1);
      case "number":
        return this.#number(schema, 0);
      case "boolean":
        return this.#dice.roll(2) === 1;
      case "null":
        return null;
      default:
        return text(schema, name);
    }
  }

  /** The schema with its references followed and its combinations merged into one. */
  #flatten(given: Json | undefined, depth: number): JsonObject {
    this.#made += 1;
    if (this.#made > MOST_VALUES) return {};
    let schema = isObject(given) ? given : {};
    for (let hops = 0; typeof schema.$ref === "string" && hops < DEEPEST; hops++) {
      const { $ref, ...rest } = schema;
      schema = merge(rest, this.#resolve($ref as string));
    }
    if (isList(schema.allOf) && depth < DEEPEST) {
      const { allOf, ...rest } = schema;
      schema = (allOf as readonly Json[]).reduce<JsonObject>((all, part) => merge(all, this.#flatten(part, depth + 1)), rest);
    }
    const branches = schema.anyOf ?? schema.oneOf;
    if (!isList(branches) || branches.length === 0 || depth >= DEEPEST) return schema;
    const { anyOf: _anyOf, oneOf: _oneOf, ...rest } = schema;
    return merge(rest, this.#flatten(choose(branches, depth), depth + 1));
  }

  #resolve(reference: string): JsonObject {
    if (reference !== "#" && !reference.startsWith("#/")) return {};
    let at = this.#root;
    for (const part of reference.split("/").slice(1)) {
      const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
      if (isObject(at) && Object.hasOwn(at, key)) at = at[key];
      else if (isList(at)) at = at[Number(key)];
      else return {};
    }
    return isObject(at) ? at : {};
  }

  #object(schema: JsonObject, depth: number): JsonObject {
    const properties = isObject(schema.properties) ? schema.properties : {};
    const required = new Set(isList(schema.required) ? schema.required.filter((key) => typeof key === "string") : []);
    const wanted = depth < SMALL_FROM ? new Set([...Object.keys(properties), ...required]) : required;
    const member = (key: string) => (Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties);
    return Object.fromEntries(Array.from(wanted, (key) => [key, this.value(member(key), depth + 1, key)]));
  }

  #array(schema: JsonObject, depth: number, name: string): Json[] {
    const fixed = isList(schema.prefixItems) ? schema.prefixItems : [];
    const least = numberOr(schema.minItems, 0);
    const usual = depth < SMALL_FROM ? Math.max(fixed.length, schema.items === false ? 0 : 2) : 0;
    const length = Math.min(Math.max(least, Math.min(usual, numberOr(schema.maxItems, usual))), MOST_ITEMS);
    const list: Json[] = [];
    const seen = new Set<string>();
    for (let tries = 0; list.length < length && tries < length * 8; tries++) {
      const item = this.value(fixed[list.length] ?? schema.items, depth + 1, tries === 0 ? name : `${name} ${tries + 1}`);
      const mark = schema.uniqueItems === true ? JSON.stringify(item) : String(tries);
      if (!seen.has(mark)) list.push(item);
      seen.add(mark);
    }
    return list;
  }

  /** `unit` is 1 for integers and 0 for any number. */
  #number(schema: JsonObject, unit: 0 | 1): number {
    const step = numberOr(schema.multipleOf, unit);
    const nudge = step || 0.5;
    const above = typeof schema.exclusiveMinimum === "number" ? schema.exclusiveMinimum : undefined;
    const below = typeof schema.exclusiveMaximum === "number" ? schema.exclusiveMaximum : undefined;
    const upper = Math.min(numberOr(schema.maximum, Infinity), below ?? Infinity);
    const lower = Math.max(numberOr(schema.minimum, -Infinity), above ?? -Infinity);
    if (step > 0) {
      const first = Number.isFinite(lower)
        ? Math.ceil(lower / step) + (lower === above && Number.isInteger(lower / step) ? 1 : 0)
        : undefined;
      const last = Number.isFinite(upper)
        ? Math.floor(upper / step) - (upper === below && Number.isInteger(upper / step) ? 1 : 0)
        : undefined;
      const from = first ?? Math.min(1, last ?? 1);
      const to = Math.max(from, Math.min(last ?? from + 99, from + 99));
      return (from + this.#dice.roll(to - from + 1)) * step;
    }
    if (Number.isFinite(lower) && Number.isFinite(upper)) return lower === upper ? lower : (lower + upper) / 2;
    if (Number.isFinite(lower)) return lower + nudge;
    return Number.isFinite(upper) ? upper - nudge : (1 + this.#dice.roll(999)) / 10;
  }
}

/** The branch to take: normally the first that says something, deep down the one that ends soonest. */
function choose(branches: readonly Json[], depth: number): Json | undefined {
  if (depth < SMALL_FROM) return branches.find((branch) => !(isObject(branch) && branch.type === "null")) ?? branches[0];
  return branches.reduce((least, branch) => (weight(branch) < weight(least) ? branch : least));
}

function weight(schema: Json): number {
  if (!isObject(schema) || schema.$ref !== undefined || schema.anyOf !== undefined || schema.allOf !== undefined) return 3;
  const type = typeOf(schema, SMALL_FROM);
  return type === "null" ? 0 : type === "object" ? 3 : type === "array" ? 2 : 1;
}

function typeOf(schema: JsonObject, depth: number): string {
  const { type } = schema;
  if (typeof type === "string") return type;
  if (isList(type)) {
    const names = type.filter((name) => typeof name === "string");
    const small = names.find((name) => name !== "object" && name !== "array");
    return (depth >= SMALL_FROM ? small : undefined) ?? names.find((name) => name !== "null") ?? "null";
  }
  if (schema.properties !== undefined || schema.required !== undefined) return "object";
  if (schema.items !== undefined || schema.prefixItems !== undefined) return "array";
  return schema.minimum !== undefined || schema.maximum !== undefined || schema.multipleOf !== undefined ? "number" : "string";
}

function text(schema: JsonObject, name: string): string {
  if (typeof schema.format === "string" && Object.hasOwn(FORMATS, schema.format)) return FORMATS[schema.format] as string;
  const plain = `sample ${name.replaceAll(/[_\s]+/g, " ").toWellFormed()}`;
  const least = Math.min(numberOr(schema.minLength, 0), LONGEST_TEXT);
  const letters = Array.from(plain.padEnd(least, ` ${plain}`));
  return letters.slice(0, numberOr(schema.maxLength, letters.length)).join("").padEnd(least, ".");
}

/** Both schemas at once; members of the same name are taken from the second. */
function merge(first: JsonObject, second: JsonObject): JsonObject {
  return {
    ...first,
    ...second,
    ...(isObject(first.properties) && isObject(second.properties) && { properties: { ...first.properties, ...second.properties } }),
    ...(isList(first.required) && isList(second.required) && { required: [...first.required, ...second.required] }),
  };
}

function numberOr(value: Json | undefined, fallback: number): number {
  return typeof value === "number" ? value : fallback;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !isList(value);
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
