import { spawnSync } from "node:child_process";
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What lint cannot express: members of globals, and where a relative import ends. Each rule names what it forbids in `file`. */
function forbidden(file: string, source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, "");
  const found: string[] = [];
  const forbid = (pattern: RegExp) => found.push(...Array.from(code.matchAll(pattern), ([text]) => text));
  const [area, folder] = file.split("/");
  if (area === "plugins") {
    forbid(/\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bprocess\.env\b|\bglobalThis\b|\brandomUUID\b/g);
    for (const [, path = ""] of code.matchAll(/(?:from|import)\s*\(?\s*["'](\.[^"']*)["']/g)) {
      const target = join(dirname(file), path);
      const own = file === "plugins/index.ts" ? "plugins/" : `plugins/${folder}/`;
      if (!target.startsWith(own)) found.push(path);
    }
  }
  const readsEnv = file === "core/config/env.ts" || file === "core/cli/bin.ts";
  if (area === "core" && !readsEnv) forbid(/\bprocess\.env\b/g);
  return found;
}

/** What lint says of each sample (kind of place, source), in one run over a copy of the rules. */
function lint(samples: readonly (readonly [place: string, source: string, ...unknown[]])[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), "headgate-lint-"));
  try {
    copyFileSync(join(root, "biome.json"), join(folder, "biome.json"));
    const files = samples.map(([place, source], index) => {
      const file = place.replace("sample", `sample${index}`);
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), source);
      return file;
    });
    const args = ["lint", "--vcs-enabled=false", "--reporter=github", "--max-diagnostics=none", "."];
    const { stdout } = spawnSync(join(root, "node_modules/.bin/biome"), args, { cwd: folder, encoding: "utf8" });
    const lines = stdout.split("\n").filter((line) => line.includes("noRestricted"));
    return files.map((file) => lines.filter((line) => line.includes(`/${file},`)).join("\n"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("what may import what", () => {
  test("no source file reaches around the services or into another plugin", () => {
    const files = globSync("{core,plugins,presets}/**/*.ts", { cwd: root }).map((file) => file.replaceAll("\\", "/"));
    const sources = files.filter((file) => !file.endsWith(".test.ts"));
    expect(sources.length).toBeGreaterThan(50);
    const breaches = sources.flatMap((file) => forbidden(file, readFileSync(join(root, file), "utf8")).map((what) => `${file}: ${what}`));
    expect(breaches).toEqual([]);
  });

  test.each([
    ["plugins/bad/index.ts", "const now = Date.now();", "Date.now"],
    ["plugins/bad/index.ts", "const now = new Date();", "new Date()"],
    ["plugins/bad/index.ts", "const dice = Math.random();", "Math.random"],
    ["plugins/bad/index.ts", "const key = process.env.KEY;", "process.env"],
    ["plugins/bad/index.ts", 'import { metrics } from "../metrics/index.ts";', "../metrics/index.ts"],
    ["plugins/bad/store/index.ts", 'const chain = await import("../../../core/chain.ts");', "../../../core/chain.ts"],
    ["core/bad.ts", "const key = process.env.KEY;", "process.env"],
  ])("in %s, %s is found", (file, source, what) => {
    expect(forbidden(file, source)).toEqual([what]);
  });

  test("a plugin's own files, comments and services are not", () => {
    const source = '// not Date.now()\nimport { x } from "./own.ts";\nimport { y } from "../options.ts";\nclock.now(); new Date(0);';
    expect(forbidden("plugins/good/store/index.ts", source)).toEqual([]);
  });

  test("lint refuses what reaches where it may not", () => {
    const samples = [
      ["core/sample.ts", 'import { metrics } from "../plugins/index.ts"; metrics();', "The core knows no plugin"],
      ["core/sample.ts", 'import { simulator } from "headgate/providers"; simulator();', "The core knows no plugin"],
      ["core/sample.ts", 'import Koa from "koa"; new Koa();', "Only core/http knows koa"],
      ["core/sample.ts", 'import Router from "@koa/router"; new Router();', "Only core/http knows koa"],
      ["core/http/sample.ts", 'import { container } from "tsyringe"; container.reset();', "Only core/di.ts knows tsyringe"],
      ["plugins/sample/index.ts", 'import { chain } from "../../core/chain.ts"; chain();', "A plugin imports"],
      ["plugins/sample/index.ts", 'import { clock } from "headgate/testing"; clock();', "A plugin imports"],
      ["plugins/sample/index.ts", 'import Koa from "koa"; new Koa();', "Only core/http knows koa"],
      ["plugins/sample/index.ts", 'import { request } from "node:https"; request("");', "come from services"],
      ["plugins/sample/index.ts", "export const page = await fetch('');", "global variable fetch"],
      ["plugins/sample/index.ts", "setTimeout(() => undefined, 1);", "global variable setTimeout"],
      ["presets/sample.ts", 'import { metrics } from "../plugins/index.ts"; metrics();', "public entry points"],
      ["examples/sample/gateway.config.ts", 'import { token } from "../../core/di.ts"; token("");', "public entry points"],
    ] as const;
    const said = lint(samples);
    for (const [index, [place, source, message]] of samples.entries()) expect(said[index], `${place}: ${source}`).toContain(message);
  });

  test("lint accepts what stays where it may", () => {
    const samples = [
      ["core/http/sample.ts", 'import Koa from "koa"; new Koa();'],
      ["core/di.ts", 'import { container } from "tsyringe"; container.reset();'],
      [
        "plugins/sample/index.ts",
        'import { token } from "headgate"; import { z } from "zod"; import { own } from "./own.ts"; own(z, token);',
      ],
      ["plugins/sample/x.test.ts", 'import { fake } from "headgate/testing"; fake();'],
      ["presets/sample.ts", 'import { metrics } from "headgate/plugins"; import { other } from "./other.ts"; metrics(other);'],
      ["presets/sample.ts", 'import { metrics } from "headgate/plugins/metrics"; metrics();'],
    ] as const;
    expect(lint(samples)).toEqual(samples.map(() => ""));
  });
});
