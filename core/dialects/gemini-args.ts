import type { Json, JsonObject } from "./canonical.ts";
import { isArray, isObject } from "./checks.ts";

type Container = Json[] | { [key: string]: Json };

/** Longest path that a provider may build. */
const DEPTH_LIMIT = 64;

/**
 * A function call's arguments that arrive in pieces, each at a JSON path such as `$.stops[0].name`; text pieces of one
 * path are joined (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content#PartialArg). Pieces
 * that fit nowhere are ignored: they are the provider's mistake.
 */
export class PartialArguments {
  readonly #root: { [key: string]: Json } = Object.create(null);

  add(piece: Json): void {
    if (!isObject(piece) || typeof piece.jsonPath !== "string") return;
    const steps = readPath(piece.jsonPath);
    const value = readValue(piece);
    if (steps && value !== undefined) place(this.#root, steps, value);
  }

  /** The arguments as JSON text. */
  text(): string {
    return JSON.stringify(this.#root);
  }
}

function readPath(path: string): (string | number)[] | undefined {
  const steps: (string | number)[] = [];
  const step = /\.([^.[\]]+)|\[(\d{1,6})\]|\["([^"]*)"\]|\['([^']*)'\]/y;
  step.lastIndex = 1;
  while (step.lastIndex < path.length) {
    const match = step.exec(path);
    if (!match || steps.length === DEPTH_LIMIT) return undefined;
    steps.push(match[2] === undefined ? (match[1] ?? match[3] ?? match[4] ?? "") : Number(match[2]));
  }
  return path.startsWith("$") && steps.length > 0 ? steps : undefined;
}

function readValue(piece: JsonObject): Json | undefined {
  if ("nullValue" in piece) return null;
  const value = piece.stringValue ?? piece.numberValue ?? piece.boolValue;
  return isObject(value) || isArray(value) ? undefined : value;
}

function place(root: Container, steps: readonly (string | number)[], value: Json): void {
  let at = root;
  steps.forEach((step, index) => {
    const here = get(at, step);
    if (index === steps.length - 1) {
      set(at, step, typeof here === "string" && typeof value === "string" ? here + value : value);
      return;
    }
    const next = isContainer(here) ? here : typeof steps[index + 1] === "number" ? [] : Object.create(null);
    if (next !== here) set(at, step, next);
    at = next;
  });
}

function isContainer(value: Json | undefined): value is Json[] | { [key: string]: Json } {
  return typeof value === "object" && value !== null;
}

function get(container: Container, step: string | number): Json | undefined {
  if (Array.isArray(container)) return typeof step === "number" ? container[step] : undefined;
  return Object.hasOwn(container, step) ? container[step] : undefined;
}

/** Lists grow one by one, so that no index makes a huge one. */
function set(container: Container, step: string | number, value: Json): void {
  if (!Array.isArray(container)) container[step] = value;
  else if (typeof step === "number" && step <= container.length) container[step] = value;
}
