import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

/** The checkout's own folder. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const NOT_OURS = new Set(["node_modules", "dist", ".git", ".bench", ".headgate"]);

/** Paths below the checkout, with forward slashes; what is installed or generated left out. */
export function filesOf(pattern: string): string[] {
  const found = globSync(pattern, { cwd: ROOT, exclude: (name) => NOT_OURS.has(name) });
  return found.map((file) => file.replaceAll("\\", "/")).toSorted();
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export interface CodeBlock {
  readonly page: string;
  /** Of its first line of code, from 1. */
  readonly line: number;
  /** What stands after the fence; empty for a block of plain text. */
  readonly language: string;
  readonly code: string;
}

/** Every fenced block of a page, indented ones (in lists) with their indentation taken off. */
export function codeBlocks(page: string): CodeBlock[] {
  const text = read(page);
  return Array.from(text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm), ({ index, 1: indent = "", 2: language = "", 3: code = "" }) => ({
    page,
    line: text.slice(0, index).split("\n").length + 1,
    language,
    code: code.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  }));
}

/** The rows below each table head that starts with `column`, cells trimmed. */
export function tableRows(page: string, column: string): string[][] {
  const tables = read(page).matchAll(new RegExp(`^\\| *${column} *\\|.*\\n\\|[-| ]+\\|\\n((?:\\|.*\\n)*)`, "gm"));
  return Array.from(tables, ([, rows = ""]) => rows.trimEnd().split("\n").map(cells)).flat();
}

function cells(row: string): string[] {
  return row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

/** Holds a page to what is generated between its `<!-- name:start -->` and `<!-- name:end -->`; writes it when UPDATE_README is set. */
export function expectGenerated(page: string, name: string, content: string): void {
  const text = read(page);
  const shown = new RegExp(`<!-- ${name}:start -->\\n[\\s\\S]*?<!-- ${name}:end -->`).exec(text)?.[0];
  if (shown === undefined) throw new Error(`${page} has no lines <!-- ${name}:start --> and <!-- ${name}:end -->`);
  const block = `<!-- ${name}:start -->\n\n${content}\n\n<!-- ${name}:end -->`;
  if (process.env.UPDATE_README)
    writeFileSync(
      join(ROOT, page),
      text.replace(shown, () => block),
    );
  else expect(shown, `${page} is behind the code; write it anew with: UPDATE_README=1 npx vitest run test/repo`).toBe(block);
}
