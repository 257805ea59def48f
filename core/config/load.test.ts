import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { importFresh } from "./modules.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "headgate-load-")));
afterAll(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

test.each(["commonjs", "module"])("in a %s package, each load sees the edits of every kind of local file", async (type) => {
  const version = (n: number) => ({
    "package.json": JSON.stringify({ type }),
    "main.ts": `
      import { a } from "./a";
      import { b } from "./b.mjs";
      import c from "./c.cjs";
      import d from "./d.json";
      import { e } from "./lib/e.mjs";
      enum Own { version = ${n} }
      export default [Own.version, a, b, c.value, d.value, e];`,
    "a.ts": `export const a: number = ${n};`,
    "b.mjs": `export { b } from "./b2.mjs";`,
    "b2.mjs": `export const b = ${n};`,
    "c.cjs": `module.exports = { value: ${n} };`,
    "d.json": `{ "value": ${n} }`,
    "lib/e.mjs": `export const e = ${n};`,
  });
  for (const n of [1, 2, 3]) {
    write(version(n));
    const files: string[] = [];
    const module = await importFresh(join(folder, "main.ts"), n === 3 ? (file) => files.push(file) : undefined);
    expect(module.default).toEqual([n, n, n, n, n, n]);
    const expected = n === 3 ? ["main.ts", "a.ts", "b.mjs", "b2.mjs", "lib/e.mjs"].map((name) => join(folder, name)) : [];
    expect(files).toEqual(expect.arrayContaining(expected));
  }
});
