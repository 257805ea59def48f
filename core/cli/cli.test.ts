import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const BIN = fileURLToPath(new URL("bin.ts", import.meta.url));
const ZOD = fileURLToPath(import.meta.resolve("zod"));
const folders = realpathSync(mkdtempSync(join(tmpdir(), "headgate-cli-")));
afterAll(() => rmSync(folders, { recursive: true }));

/** A provider and some plugins as a team would have them beside its config. */
const PARTS = `
import { definePlugin, defineProvider, secret } from "headgate";
import { z } from ${JSON.stringify(ZOD)};

const options = z.strictObject({ path: z.string().default("/metrics"), size: z.int().min(1).max(10).default(3) });
const setup = () => ({});
export const metrics = definePlugin({ name: "metrics", options, setup });
export const auth = definePlugin({ name: "auth", options: z.strictObject({ key: secret().optional() }), after: ["metrics"], setup });
export const failover = definePlugin({ name: "failover", options: z.strictObject({ attempts: z.int().default(2) }), reenters: true, setup });
export const otherAuth = definePlugin({ name: "auth", options: z.strictObject({}), setup });
export const local = defineProvider({
  name: "local",
  options: z.strictObject({ name: z.string().default("local"), apiKey: secret().optional() }),
  setup: ({ name }) => ({ name, dialect: "openai-chat", baseUrl: "http://127.0.0.1:9/v1", headers: () => ({}) }),
});
`;

let made = 0;
function folderWith(files: Record<string, string>): string {
  const folder = join(folders, String(made++));
  for (const [name, text] of Object.entries({ "parts.ts": PARTS, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function headgate(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--conditions=headgate-source", BIN, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    encoding: "utf8",
    timeout: 15_000,
  });
  return { stdout, stderr, status };
}

const IMPORTS = `import { defineGateway, env } from "headgate";
import { auth, failover, local, metrics, otherAuth } from "./parts.ts";
`;

function config(body: string): Record<string, string> {
  return { "gateway.config.ts": `${IMPORTS}\nexport default defineGateway({ ${body} });\n` };
}

describe("a broken config is refused with every mistake and exit code 2", () => {
  const broken: Record<string, Record<string, string>> = {
    "typo in an option": config("server: { prot: 80 }, providers: [local()], plugins: []"),
    "unknown plugin key": config(`providers: [local()], plugins: [false, [metrics({ pathh: "/m" })]]`),
    "missing env": config(
      `providers: [local({ apiKey: env.secret("LOCAL_KEY") })], plugins: [], server: { host: env("HOST_NAME"), port: env.int("PORT") }`,
    ),
    "wrong order": config("providers: [local()], plugins: [auth(), metrics()]"),
    "unknown provider": config(`providers: [local()], plugins: [], models: { fast: ["local/small", "locl/large"] }`),
    "duplicate name": config("providers: [local(), local()], plugins: [auth(), otherAuth()]"),
    "bad port": config(`providers: [local()], plugins: [], server: { port: "80a" }`),
    "throws on load": {
      "gateway.config.ts": `${IMPORTS}import { vault } from "./vault.ts";\n\nexport default defineGateway({ providers: [local(vault())], plugins: [] });\n`,
      "vault.ts": `interface Key { apiKey: string }\n\nexport function vault(): Key {\n  throw new Error("the vault is sealed");\n}\n`,
    },
    "no default export": {
      "gateway.config.ts": `${IMPORTS}\nexport const config = defineGateway({ providers: [local()], plugins: [] });\n`,
    },
    "syntax error": { "gateway.config.ts": `${IMPORTS}\nexport default defineGateway({ providers: [local(], plugins: [] });\n` },
    "a name that is not exported": {
      "gateway.config.ts": `import { defineGatway } from "headgate";\nimport { local } from "./parts.ts";\n\nexport default defineGatway({ providers: [local()], plugins: [] });\n`,
    },
    "a package that is not installed": {
      "gateway.config.ts": `import { guard } from "headgate-plugin-guard";\n\nexport default { providers: [], plugins: [guard()] };\n`,
    },
    "several at once": config(
      `server: { port: 70000, limits: { jsonDepth: 4 } }, log: { level: "inof" }, redis: 5, providers: [local, local({ apiKey: 3 })], plugins: [metrics({ size: "x", pathh: 1 }), { name: "mine" }, local(), "auth"], models: { fast: "small", none: [false] }, provders: [], redis2: env("NOPE")`,
    ),
  };

  test.each(Object.entries(broken))("%s", (_, files) => {
    const { stdout, stderr, status } = headgate(["check"], folderWith(files), { LOCALKEY: "x", PORT: "80a" });
    expect(stderr).toMatchSnapshot();
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
  });

  test("start and dev refuse it in the same words", () => {
    const folder = folderWith(broken["bad port"] ?? {});
    const expected = headgate(["check"], folder);
    expect(headgate(["start"], folder)).toEqual(expected);
    expect(headgate(["dev"], folder)).toEqual(expected);
  });

  test("--json lists the mistakes as data", () => {
    const { stdout, status } = headgate(["check", "--json"], folderWith(broken["bad port"] ?? {}));
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      file: "gateway.config.ts",
      mistakes: [{ path: "server.port", expected: "a whole number from 0 to 65535", got: '"80a"', hint: "without it, it is 8787" }],
    });
  });

  test("no config file, and a misspelt one", () => {
    const folder = folderWith(config("providers: [local()], plugins: []"));
    expect(headgate(["check"], folders).stderr).toContain("a gateway.config.ts (or .mts, .js, .mjs) in this folder");
    const { stderr, status } = headgate(["check", "--config", "gateway.confg.ts"], folder);
    expect(stderr).toContain("did you mean gateway.config.ts?");
    expect(status).toBe(2);
  });
});

describe("check", () => {
  const good = config(`
    server: { port: env.int("PORT", 8080) },
    providers: [local({ apiKey: env.secret("LOCAL_KEY") }), env.has("OTHER") && local({ name: "other" })],
    plugins: [metrics(), [auth({ key: "s3cret-in-the-file" }), failover()], metrics({ path: "/inner" }), { name: "mine", handle: (_, next) => next() }],
    models: { fast: "local/small", smart: [env.has("OTHER") && "other/large", "local/large"] },
    redis: "redis://user:hunter2@cache:6379",
  `);

  test("draws the chain, the providers and the aliases, without secrets", () => {
    const { stdout, stderr, status } = headgate(["check"], folderWith(good), { LOCAL_KEY: "sk-local-12345" });
    expect(stdout).toMatchSnapshot();
    expect(stdout).not.toMatch(/sk-local|s3cret|hunter2/);
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  });

  test("--json gives the same as data, without secrets", () => {
    const { stdout } = headgate(["check", "--json", "--config", folderWith(good)], folders, { LOCAL_KEY: "sk-local-12345", OTHER: "1" });
    expect(stdout).not.toMatch(/sk-local|s3cret|hunter2/);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      chain: [
        { name: "metrics", failMode: "closed", reenters: false, options: { path: "/metrics", size: 3 } },
        { name: "auth", options: { key: "***" } },
        { name: "failover", reenters: true },
        { name: "metrics#2", options: { path: "/inner" } },
        { name: "mine" },
      ],
      providers: [{ name: "local", options: { apiKey: "***" } }, { name: "other" }],
      models: { fast: ["local/small"], smart: ["other/large", "local/large"] },
      settings: { server: { port: 8080 }, redis: "***" },
    });
  });

  test.each(["js", "mjs", "mts"])("takes gateway.config.%s, in a CommonJS package and in an ES module one", (extension) => {
    const text = `${IMPORTS.replace(", otherAuth", "")}\nconst plugins = await Promise.resolve([metrics()]);\nexport default defineGateway({ providers: [local()], plugins });\n`;
    for (const type of ["commonjs", "module"]) {
      const folder = folderWith({ [`gateway.config.${extension}`]: text, "package.json": JSON.stringify({ type }) });
      expect(headgate(["check"], folder)).toMatchObject({ stderr: "", status: 0 });
    }
  });
});

test("headgate is the running package itself, from TypeScript, plain modules and installed packages alike", () => {
  const folder = folderWith({
    "gateway.config.ts": `
      import { env } from "headgate";
      import { env as plain } from "./same.mjs";
      import { env as installed } from "some-plugin";
      export default { same: env === plain && env === installed, unset: [env("A"), plain("B"), installed("C")] };`,
    "same.mjs": 'export { env } from "headgate";',
    "node_modules/some-plugin/package.json": '{ "type": "module", "exports": "./index.js" }',
    "node_modules/some-plugin/index.js": 'export { env } from "headgate";',
  });
  // Only the running package's own `env` collects for the running command.
  expect(headgate(["check"], folder).stderr).toMatch(/env\("A"\).*env\("B"\).*env\("C"\)/s);
});

describe("the command line", () => {
  test.each([
    [["chekc"], "Did you mean check?"],
    [["check", "--jsn"], "Unknown argument: jsn"],
    [[], "Name a command."],
    [["start", "--port", "80a"], '--port: expected a whole number from 0 to 65535, got "80a"'],
    [["start", "--port", "65536"], "--port: expected a whole number from 0 to 65535"],
  ])("%j is refused with exit code 2", (args, message) => {
    const { stdout, stderr, status } = headgate(args, folders);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
  });

  test("--help and --version answer on stdout", () => {
    expect(headgate(["--help"], folders)).toMatchObject({ stdout: expect.stringContaining("headgate check"), stderr: "", status: 0 });
    expect(headgate(["--version"], folders)).toMatchObject({ stdout: expect.stringMatching(/^\d+\.\d+\.\d+/), status: 0 });
  });
});
