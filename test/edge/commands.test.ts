import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { audit, auth } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ran, run } from "../support/commands.ts";

const BIN = fileURLToPath(new URL("../../core/cli/bin.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "headgate-commands-"));
const DEVELOPMENT_KEY = "hg_dev_commands_0123456789abcdef";
const CONFIG = `
import { defineGateway } from "headgate";
import { audit, auth, quota } from "headgate/plugins";
import { simulator } from "headgate/providers";

export default defineGateway({
  providers: [simulator()],
  plugins: [audit(), auth(), quota({ plans: { trial: ["100000 tokens/month", "$5/month"] } })],
});
`;
beforeAll(() => writeFileSync(join(folder, "gateway.config.ts"), CONFIG));
afterAll(() => rmSync(folder, { recursive: true }));

function headgate(line: string, env: Record<string, string> = {}): Promise<Ran> {
  return run(process.execPath, ["--conditions=headgate-source", BIN, ...line.split(" ")], { cwd: folder, env });
}

async function answered(line: string, env?: Record<string, string>): Promise<Record<string, never>> {
  const { code, stdout, stderr } = await headgate(`${line} --json`, env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

describe("a command without a running gateway", () => {
  it("does what the route does, and is on record before it ends", async () => {
    const made = await answered("keys create --name ci --models simulator/sim-small,simulator/sim-large --rotate_every_days 30");
    expect(made).toMatchObject({ name: "ci", models: ["simulator/sim-small", "simulator/sim-large"], rotate_every_days: 30 });
    const shown = await headgate(`keys show ${made.id}`);
    expect(shown.stdout).toMatch(/^name: +ci$/m);
    expect(shown.stdout).not.toContain(String(made.key));
    const list = await headgate("keys list --limit 5");
    expect(list.stdout.split("\n")[0]).toMatch(/^id +name +/);
    const { data } = await answered("audit list");
    expect(data).toMatchObject([{ action: "POST /api/keys", target: { made: made.id }, status: 201, details: { name: "cli", ip: "cli" } }]);
  }, 60_000);

  it("says what is wrong with it, and ends with 2", async () => {
    const cases: Record<string, string> = {
      "keys create --nam x": 'there is no flag --nam; did you mean "--name"?',
      "keys create": 'The field "name" has to be',
      "keys create --name": "--name wants a value",
      "keys list --limit 0": 'The query parameter "limit" has to be a whole number from 1 to 200, not "0".',
      "keys show": "headgate keys show takes <id>, and then flags",
      "kyes list": 'there is no command "kyes"; did you mean "keys"?',
      "keys lst": 'there is no command "keys lst"; did you mean "list"?',
    };
    for (const [line, message] of Object.entries(cases)) {
      const { code, stdout, stderr } = await headgate(line);
      expect({ code, stdout, stderr }, line).toEqual({ code: 2, stdout: "", stderr: expect.stringContaining(message) });
    }
    expect(await headgate("keys show key_none")).toMatchObject({ code: 1, stderr: expect.stringContaining("There is no such key.") });
  }, 60_000);

  it("is found by its help", async () => {
    expect((await headgate("--help")).stdout).toMatch(/headgate keys +create, list/);
    expect((await headgate("keys --help")).stdout).toMatch(/^headgate keys rotate {2}/m);
    expect((await headgate("keys create --help")).stdout).toMatch(/--rotate-every-days +a whole number/);
  }, 60_000);

  it("ends with 3 when the trail was tampered with", async () => {
    expect(await headgate("audit verify")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok: +true$/m) });
    const file = new DatabaseSync(join(folder, ".headgate", "headgate.db"));
    file.exec("drop trigger audit_log_no_update; update audit_log set status = 200 where seq = 1");
    file.close();
    expect(await headgate("audit verify")).toMatchObject({ code: 3, stdout: expect.stringMatching(/^broken: +row 1 was changed$/m) });
  }, 60_000);
});

describe("what a user may use", () => {
  it("is shown, changed within the bounds of the config, and bought on top, once for each payment", async () => {
    const ann = await answered("users create --email ann@example.com");
    expect(await answered("limits plans")).toEqual({ plans: { trial: ["100,000 tokens/month", "$5.00/month"] } });
    const [tokens, money] = [
      { unit: "tokens", window: "month", used: 0, reserved: 0, limit: 100_000, additional: 0, resets_at: expect.any(String) },
      { unit: "money", window: "month", used: 0, reserved: 0, limit: 5, additional: 0, resets_at: expect.any(String) },
    ];
    const standing = (...limits: object[]) => ({
      user: ann.id,
      plan: "trial",
      limits: limits.map((limit) => expect.objectContaining(limit)),
    });
    expect(await answered(`limits show ${ann.id}`)).toEqual(standing(tokens, money));
    expect(await answered(`limits set ${ann.id} --limit 200000tokens/month`)).toEqual(standing({ ...tokens, limit: 200_000 }, money));
    expect(await headgate(`limits set ${ann.id} --limit $51/month`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("A limit of this user has to be between $0.00 and $50.00."),
    });
    expect(await headgate(`limits set ${ann.id} --limit lots`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Expected a limit"),
    });
    const bought = await answered(`limits top-up ${ann.id} --unit money --amount 2.5 --reference inv-1 --note thanks`);
    expect(bought).toMatchObject({ user: ann.id, unit: "money", amount: 2.5, reference: "inv-1", note: "thanks", by: "cli", balance: 2.5 });
    expect(await answered(`limits top-up ${ann.id} --unit money --amount 2.5 --reference inv-1`)).toEqual(bought);
    const other = await headgate(`limits top-up ${ann.id} --unit money --amount 3 --reference inv-1`);
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining("This reference stands for another transaction.") });
    expect(await answered(`limits top-up ${ann.id} --unit money --amount=-1 --reference inv-2`)).toMatchObject({
      amount: -1,
      balance: 1.5,
    });
    const { data } = await answered(`limits transactions --user ${ann.id}`);
    expect(data).toMatchObject([{ reference: "inv-2" }, bought]);
    const back = await answered(`limits set ${ann.id} --limit 1tokens/month --remove`);
    expect(back).toEqual(standing(tokens, { ...money, additional: 1.5 }));
    expect((await headgate(`limits show ${ann.id}`)).stdout).toMatch(/^plan: +trial$/m);
    expect(await headgate("limits show usr_none")).toMatchObject({ code: 1, stderr: expect.stringContaining("There is no such user.") });
  }, 120_000);
});

describe("a command with --url", () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    const plugins = [audit(), auth({ developmentKey: DEVELOPMENT_KEY })];
    gateway = await startGateway({ data: join(folder, "running"), providers: [simulator()], plugins });
  });
  afterAll(() => gateway.stop());

  it("asks a running gateway, with the key of HEADGATE_KEY or --key", async () => {
    const made = await answered(`users create --email ann@example.com --url ${gateway.url}`, { HEADGATE_KEY: DEVELOPMENT_KEY });
    const shown = await answered(`users show ${made.id} --url ${gateway.url} --key ${DEVELOPMENT_KEY}`);
    expect(shown).toMatchObject({ email: "ann@example.com" });
    const { code, stderr } = await headgate(`users list --url ${gateway.url}`);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("API key") });
    const wrong = await headgate(`users list --limit 0 --url ${gateway.url}`, { HEADGATE_KEY: DEVELOPMENT_KEY });
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('"limit"') });
  }, 60_000);

  it("says that nobody is there", async () => {
    const { code, stderr } = await headgate("users list --url http://127.0.0.1:9");
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("http://127.0.0.1:9 could not be asked") });
    expect(stderr).not.toContain("    at ");
  }, 60_000);
});
