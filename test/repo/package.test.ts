import { cpSync, globSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { run, serve } from "../support/commands.ts";
import { codeBlocks, ROOT } from "../support/pages.ts";

/** What somebody who uses the package has beside it. */
const CONSUMERS_OWN = ["@anthropic-ai/sdk", "@types/node", "openai", "vitest"];

let consumer: string;
let installed: string;

/** The package as npm would publish it, installed in an empty project; of what is beside it, only what it says it needs. */
beforeAll(async () => {
  consumer = realpathSync(mkdtempSync(join(tmpdir(), "headgate-consumer-")));
  installed = join(consumer, "node_modules/headgate");
  mkdirSync(installed, { recursive: true });
  const packed = await run("npm", ["pack", "--silent", "--pack-destination", consumer], { cwd: ROOT });
  expect(packed.code, packed.stdout + packed.stderr).toBe(0);
  const [archive = ""] = readdirSync(consumer).filter((file) => file.endsWith(".tgz"));
  const unpacked = await run("tar", ["-xzf", archive, "--strip-components=1", "-C", installed], { cwd: consumer });
  expect(unpacked.code, unpacked.stderr).toBe(0);
  for (const name of [...Object.keys(manifest.dependencies), ...CONSUMERS_OWN]) {
    const link = join(consumer, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), link, "junction");
  }
  cpSync(join(ROOT, "test/repo/consumer"), consumer, { recursive: true });
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
}, 60_000);
afterAll(() => rmSync(consumer, { recursive: true }));

describe("the published package", () => {
  test("holds what runs, its types and its page, and no tests or sources", () => {
    const files = globSync("**/*.*", { cwd: installed }).map((file) => file.replaceAll("\\", "/"));
    expect(files.filter((file) => !/^dist\/.+\.(js|d\.ts)$/.test(file)).toSorted()).toEqual(["README.md", "package.json"]);
    expect(files.filter((file) => /\.test\./.test(file))).toEqual([]);
    expect(readdirSync(installed)).toContain("LICENSE");
  });

  test("has behind each of its entry points what it says", async () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === "string" ? target : [target.types, target.default],
    );
    const missing = [...targets, ...Object.values(manifest.bin)].filter((path) => globSync(path, { cwd: installed }).length === 0);
    expect(missing).toEqual([]);
    const specifiers = ["headgate", "headgate/plugins", "headgate/plugins/metrics", "headgate/providers", "headgate/presets"];
    const script = `for (const name of ${JSON.stringify(specifiers)}) if (Object.keys(await import(name)).length === 0) throw new Error(name);`;
    const { code, stderr } = await run(process.execPath, ["--input-type=module", "--eval", script], { cwd: consumer });
    expect(code, stderr).toBe(0);
  });

  test("its command checks and starts a config, and answers a call", async () => {
    const bin = join(installed, manifest.bin.headgate);
    const checked = await run(process.execPath, [bin, "check"], { cwd: consumer });
    expect(checked.code, checked.stderr).toBe(0);
    expect(checked.stdout).toMatch(/metrics[\s\S]*department[\s\S]*upstream\/call/);

    const gateway = await serve(process.execPath, [bin, "start"], { cwd: consumer });
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-department": "sales" },
      body: JSON.stringify({ model: "fast", messages: [{ role: "user", content: "Hello" }] }),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-department")).toBe("sales of 1");
    expect(await answer.json()).toMatchObject({ object: "chat.completion" });
    expect(await gateway.stop()).toBe(0);
  });

  test("its testing toolkit tries a plugin from outside", async () => {
    const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
    const { code, stdout, stderr } = await run(process.execPath, [vitest, "run", "--root", consumer], { cwd: consumer });
    expect(code, stdout + stderr).toBe(0);
  });

  test("its types carry a strict config, a plugin that adds to them, and every snippet of the README", async () => {
    for (const { language, code, line } of codeBlocks("README.md")) {
      if (language === "ts") writeFileSync(join(consumer, `readme-${line}.ts`), code);
    }
    const compilerOptions = {
      module: "nodenext",
      target: "es2024",
      strict: true,
      types: ["node"],
      noEmit: true,
      allowImportingTsExtensions: true,
      declaration: true,
    };
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    const { code, stdout } = await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "."], { cwd: consumer });
    expect(code, stdout).toBe(0);
  });
});
