import { readFileSync } from "node:fs";
import { dirname, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { maskText } from "../services/redact.ts";
import { describeValue } from "./describe.ts";
import type { Mistake } from "./mistakes.ts";
import { didYouMean } from "./nearest.ts";

const CORE = dirname(dirname(fileURLToPath(import.meta.url))) + sep;

/** What stopped a config file from loading, with the file and line where it did, as one mistake. */
export async function explainLoadError(error: unknown, file: string): Promise<Mistake> {
  if (!(error instanceof Error)) return { path: show(file), expected: "a config that loads", got: `it threw ${describeValue(error)}` };
  const message = maskText(error.message);

  const syntax = /^ParseError: (.+?)\s*\n\s*(.+):(\d+):(\d+)\s*$/s.exec(error.message);
  if (syntax) {
    const [, problem = "", where = file, line = "1", column = "1"] = syntax;
    const expected = `valid ${/\.[cm]?ts$/.test(where) ? "TypeScript" : "JavaScript"}`;
    return { path: `${show(where)}:${line}:${column}`, expected, got: problem.replace(/\.$/, ""), hint: "look there, or just before it" };
  }

  const at = origin(error, file);
  const path = at.line ? `${show(at.file)}:${at.line}` : show(at.file);

  const absent = /^Cannot find (?:module|package) '([^']+)'/.exec(error.message)?.[1];
  if (absent) {
    const hint = /^(\.|\/|[A-Z]:)/i.test(absent) ? "check the path" : `install it: npm install ${absent}`;
    return { path, expected: "modules that exist", got: `"${show(absent)}", which is not there`, hint };
  }

  const subpath = /^Package subpath '([^']+)' .* in (.+?)package\.json/.exec(error.message);
  if (subpath) {
    const got = `"${subpath[1]}" of the package in ${show(subpath[2] ?? "")}, which does not offer it`;
    return { path, expected: "modules that exist", got };
  }

  const name = /^\(0 , \w+\.(\w+)\) is not a (?:function|constructor)/.exec(error.message)?.[1];
  if (name) {
    const { from, names } = await exportsBehind(name, at.file);
    const hint = didYouMean(name, names) ?? (names.length > 0 ? `there are: ${names.join(", ")}` : undefined);
    return { path, expected: `a function that ${from} exports`, got: `"${name}", which it does not export`, ...(hint && { hint }) };
  }

  return { path, expected: "a config that loads", got: `${error.name}: ${message}`, hint: "this was thrown while the file loaded" };
}

function show(file: string): string {
  return file.startsWith(process.cwd() + sep) ? relative(process.cwd(), file) : file;
}

/** The innermost place in the user's own files; columns are left out, as transpiling moves them. */
function origin(error: Error, file: string): { file: string; line: number | undefined } {
  const frames = (error.stack ?? "").matchAll(/(?:\(|at (?:async )?)((?:file:\/\/)?[^()\n]+?)(?:\?load=\d+)?:(\d+):\d+\)?$/gm);
  for (const [, place = "", line] of frames) {
    const path = place.startsWith("file:") ? fileURLToPath(place) : place;
    if (path.startsWith("node:") || path.includes(`${sep}node_modules${sep}`) || path.startsWith(CORE)) continue;
    return { file: path, line: Number(line) };
  }
  return { file, line: undefined };
}

/** Where `name` was imported from, and, when that is this package, what could have been meant. */
async function exportsBehind(name: string, file: string): Promise<{ from: string; names: readonly string[] }> {
  const imports = readFileSync(file, "utf8").matchAll(/import\s*{([^}]*)}\s*from\s*["']([^"']+)["']/g);
  for (const [, names = "", from = ""] of imports) {
    if (!new RegExp(`\\b${name}\\b`).test(names)) continue;
    return { from: `"${from}"`, names: from === "headgate" || from.startsWith("headgate/") ? Object.keys(await import(from)) : [] };
  }
  return { from: "the imported module", names: [] };
}
