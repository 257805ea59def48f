import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { read } from "../support/pages.ts";

/** What each name stands for; a token has its service's name, and counts as a value. */
type Names = Map<string, "value" | "type">;

/** What a source file exports, what it passes on included. Reads the text, so that types are seen too. */
function exportsOf(file: string): Names {
  const names: Names = new Map();
  const add = (name: string, kind: "value" | "type") => names.set(name, names.get(name) === "value" ? "value" : kind);
  const source = read(file);
  const from = (path: string) => exportsOf(posix.join(posix.dirname(file), path));
  for (const [, path = ""] of source.matchAll(/^export \* from "(.+)";$/gm)) {
    for (const [name, kind] of from(path)) add(name, kind);
  }
  for (const [, type, list = "", path = ""] of source.matchAll(/^export (type )?\{([^}]*)\} from "(.+)";$/gm)) {
    const there = from(path);
    for (const item of list.split(",").flatMap((text) => text.trim() || [])) {
      const name = item.replace(/^type /, "");
      const kind = there.get(name);
      if (!kind) throw new Error(`${path} exports no ${name}`);
      add(name, type || item !== name ? "type" : kind);
    }
  }
  for (const [, word = "", name = ""] of source.matchAll(/^export (?:abstract |async )?(const|function\*?|class|interface|type) (\w+)/gm)) {
    add(name, word === "interface" || word === "type" ? "type" : "value");
  }
  return names;
}

const entries = Object.entries(manifest.exports).flatMap(([path, target]) =>
  typeof target === "object" && !path.includes("*") ? [[path.replace(".", "headgate"), target["headgate-source"]] as const] : [],
);

describe("the public names are these, and change only on purpose", () => {
  test.each(entries)("%s", async (specifier, file) => {
    const names = [...exportsOf(file)].toSorted();
    const values = names.flatMap(([name, kind]) => (kind === "value" ? name : []));
    expect(values, "what was read is what loads").toEqual(Object.keys(await import(specifier)).toSorted());
    expect(names.map(([name, kind]) => (kind === "value" ? name : `type ${name}`)).join("\n")).toMatchSnapshot();
  });
});
