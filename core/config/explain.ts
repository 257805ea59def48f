import { z } from "zod";
import { alternatives, describeShape, describeValue, isShape, oneOf, type Shape } from "./describe.ts";
import { isMissing } from "./env.ts";
import type { Mistake } from "./mistakes.ts";
import { didYouMean } from "./nearest.ts";

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/**
 * What a schema had against `input`, as mistakes in plain words. `at` is put before every path. Complaints about values
 * that only stand in for a missing environment variable are left out: that variable is reported already.
 */
export function explain(schema: z.ZodType, input: unknown, issues: readonly Issue[], at = ""): Mistake[] {
  // Schemas from before zod 4 have no such view of themselves; their own messages have to do.
  const shape: Shape = "_zod" in schema ? z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) : {};
  return issues.flatMap(narrow).flatMap((issue): Mistake[] => {
    const value = valueAt(input, issue.path);
    if (isMissing(value)) return [];
    const here = shapeAt(shape, issue.path);
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(key, issue.path, here, at));
    const path = showPath(at, issue.path);
    if (issue.code === "invalid_key") {
      const keys = shapeAt(shape, issue.path.slice(0, -1))?.propertyNames;
      const expected = isShape(keys) ? describeShape(keys) : undefined;
      return [{ path, expected: `a key that is ${expected ?? plainMessage(issue)}`, got: describeValue(issue.path.at(-1)) }];
    }
    // What a refinement asks for stands in no shape, unless its author put it into words.
    const expected = here && (issue.code !== "custom" || here.title) ? describeShape(here) : undefined;
    const key = issue.path.findLast((part) => typeof part === "string") ?? "";
    return [{ path, expected: expected ?? plainMessage(issue), got: describeValue(value, String(key)), ...hintFor(value, here) }];
  });
}

/** `a.b[2]["odd key"]`, after `at`. */
export function showPath(at: string, path: Path): string {
  return path.reduce<string>((shown, part) => {
    if (typeof part === "number") return `${shown}[${part}]`;
    const name = String(part);
    if (!/^[\w$-]+$/.test(name)) return `${shown}[${JSON.stringify(name)}]`;
    return shown ? `${shown}.${name}` : name;
  }, at);
}

function unknownKey(key: string, path: Path, shape: Shape | undefined, at: string): Mistake {
  const known = shape ? [shape, ...alternatives(shape)].flatMap((one) => Object.keys(one.properties ?? {})) : [];
  const hint = didYouMean(key, known);
  return {
    path: showPath(at, [...path, key]),
    expected: known.length > 0 ? `a known key: ${oneOf(known)}` : "no keys at all",
    got: `the unknown key "${key}"`,
    ...(hint && { hint }),
  };
}

/** A union failed because every alternative did; where one got past its first look, its own complaints say more. */
function narrow(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union") return [issue];
  const [best] = issue.errors
    .filter((branch) => branch.every(({ path, code }) => path.length > 0 || code === "unrecognized_keys"))
    .sort((a, b) => a.length - b.length);
  if (!best) return [issue];
  return best.flatMap((inner) => narrow({ ...inner, path: [...issue.path, ...inner.path] }));
}

function plainMessage(issue: Issue): string {
  if (issue.code === "invalid_key") return issue.issues.map(plainMessage).join("; ");
  return issue.message.replace(/^Invalid input: (expected )?/, "").replace(/, received .*$/, "");
}

function hintFor(value: unknown, shape: Shape | undefined): { hint?: string } {
  const words = shape ? [shape, ...alternatives(shape)].flatMap((one) => one.enum ?? one.const ?? []) : [];
  const near = typeof value === "string" ? didYouMean(value, words.map(String)) : undefined;
  const fallback = ["string", "number", "boolean"].includes(typeof shape?.default) ? JSON.stringify(shape?.default) : undefined;
  const hint = near ?? (fallback && `without it, it is ${fallback}`);
  return hint ? { hint } : {};
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = value[part as keyof typeof value];
  }
  return value;
}

function shapeAt(root: Shape, path: Path): Shape | undefined {
  let shapes: Shape[] = [root];
  for (const part of path) {
    shapes = shapes.flatMap((shape) => [shape, ...alternatives(shape)].flatMap((one) => step(one, part)));
  }
  return shapes.length > 1 ? { anyOf: shapes } : shapes[0];
}

function step(shape: Shape, part: PropertyKey): Shape[] {
  const properties = shape.properties ?? {};
  const inner =
    typeof part === "number"
      ? (shape.prefixItems?.[part] ?? shape.items)
      : Object.hasOwn(properties, part)
        ? properties[String(part)]
        : shape.additionalProperties;
  return isShape(inner) ? [inner] : [];
}
