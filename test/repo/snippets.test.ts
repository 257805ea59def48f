import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { run, type Served, serve } from "../support/commands.ts";
import { type CodeBlock, codeBlocks, filesOf, ROOT } from "../support/pages.ts";

/** The port that the pages speak of; here the system picks one. */
const PORT = "127.0.0.1:8787";
const HEADGATE = "npm run headgate --";
const QUIET_HEADGATE = "npm run --silent headgate --";
/** What `npm run headgate --` stands for, without the setup before it. */
const [, ...cli] = manifest.scripts.headgate.split(" ");

/** What a page's curl gets where that is more than an answer without an error. */
const ANSWERS: Readonly<Record<string, readonly RegExp[]>> = {
  "examples/first-plugin/README.md": [
    /^HTTP\/1\.1 400 .*"message":"Say \\"please\\"\."/s,
    /}HTTP\/1\.1 200 .*\nx-polite-at: \d{4}-\d\d-\d\dT.*"object":"chat\.completion"/s,
  ],
};

const blocks = filesOf("{.,{core,plugins,presets,examples}/**}/*.md")
  .flatMap(codeBlocks)
  .filter(({ language }) => language !== "");

type Kind = "config" | "client" | "server" | "commands";

function kindOf({ language, code, page, line }: CodeBlock): Kind {
  if (language === "ts" && /^export default defineGateway\(/m.test(code)) return "config";
  if (language === "ts" && code.includes(PORT)) return "client";
  if (language === "sh" && code.trim().split("\n").length === 1 && /^(npm start|npm run headgate -- (start|dev))/.test(code))
    return "server";
  if (language === "sh") return "commands";
  throw new Error(`${page}:${line}: no test runs this block; leave its language out if it is not meant to be run`);
}

function of(kind: Kind): (readonly [place: string, block: CodeBlock])[] {
  return blocks.filter((block) => kindOf(block) === kind).map((block) => [`${block.page}:${block.line}`, block] as const);
}

/** The gateway that a page tells its reader to start: by a command of its own, or as it is shipped. */
function startedBy(page: string): Promise<Served> {
  const own = of("server")
    .find(([, block]) => block.page === page)?.[1]
    .code.trim();
  const args = own?.startsWith(HEADGATE) ? own.slice(HEADGATE.length).trim().split(" ") : ["start"];
  return serve(process.execPath, [...cli, ...args, "--port", "0"], { cwd: ROOT, env });
}

let folder: string;
/** A data folder of the test's own: a gateway that runs in this checkout has the other. */
let env: Record<string, string>;
beforeAll(() => {
  mkdirSync(join(ROOT, ".headgate"), { recursive: true });
  folder = mkdtempSync(join(ROOT, ".headgate/snippets-"));
  env = { HEADGATE_DATA: join(folder, "data") };
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each(of("config"))("the config at %s is accepted", async (place, { code }) => {
  const file = join(folder, `${place.replaceAll(/\W/g, "-")}.ts`);
  writeFileSync(file, code);
  const { code: exit, stdout, stderr } = await run(process.execPath, [...cli, "check", "--config", file], { cwd: ROOT, env });
  expect(exit, stderr).toBe(0);
  expect(stdout).toMatch(/^ok /);
});

describe.each([...new Set([...of("client"), ...of("commands")].map(([, { page }]) => page))])("against the gateway of %s", (page) => {
  let gateway: Served;
  beforeAll(async () => {
    gateway = await startedBy(page);
    // What a reader copies from the banner.
    env = { ...env, HEADGATE_KEY: /development key (\S+)/.exec(gateway.banner)?.[1] ?? "" };
  });
  afterAll(async () => expect(await gateway.stop()).toBe(0));
  const here = (code: string) => code.replaceAll(PORT, new URL(gateway.url).host);
  const on = (kind: Kind) => of(kind).filter(([, block]) => block.page === page);

  test.for(on("client"))("the client at %s gets its answer", async ([place, { code }]) => {
    const file = join(folder, `${place.replaceAll(/\W/g, "-")}.ts`);
    writeFileSync(file, here(code));
    const { code: exit, stdout, stderr } = await run(process.execPath, [file], { cwd: folder, env });
    expect(exit, stderr).toBe(0);
    expect(stdout.trim()).not.toBe("");
  });

  test.for(on("commands"))("the commands at %s work as pasted", async ([, { code }]) => {
    const command = `"${process.execPath}" ${cli.join(" ")}`;
    const pasted = here(code).replaceAll(HEADGATE, command).replaceAll(QUIET_HEADGATE, command);
    const { code: exit, stdout, stderr } = await run("sh", ["-euc", pasted], { cwd: ROOT, env });
    expect(exit, stderr).toBe(0);
    for (const answer of code.includes("curl") ? (ANSWERS[page] ?? [/^(?!.*"error")/s]) : []) expect(stdout).toMatch(answer);
  });
});
