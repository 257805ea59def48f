import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run, serve } from "../../test/support/commands.ts";
import { developmentKey } from "./development-key.ts";

const BIN = fileURLToPath(new URL("../../core/cli/bin.ts", import.meta.url));

const CONFIG = `
import { defineGateway } from "headgate";
import { auth } from "headgate/plugins";
import { simulator } from "headgate/providers";

export default defineGateway({
  server: { port: 0 },
  data: "kept",
  providers: [simulator({ speed: 0 })],
  models: { fast: "simulator/sim-small" },
  plugins: [auth({ developmentKey: true })],
});
`;

describe("the development key", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "headgate-auth-"));
    writeFileSync(join(folder, "gateway.config.ts"), CONFIG);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const start = () => serve(process.execPath, ["--conditions=headgate-source", BIN, "start"], { cwd: folder });

  it("is in the banner and in the command to paste, which works; the next start shows the same", async () => {
    const first = await start();
    const key = /development key +(hg_dev_[\w-]{43})/.exec(first.banner)?.[1] ?? "";
    const [command = ""] = /curl http.*?}'/s.exec(first.banner) ?? [];
    expect(command).toContain(`-H 'authorization: Bearer ${key}'`);
    const { code, stdout } = await run("sh", ["-c", `${command} --fail-with-body`], { cwd: folder });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("chat.completion") });
    expect(await first.stop()).toBe(0);
    const second = await start();
    expect(second.banner).toContain(key);
    expect(await second.stop()).toBe(0);
  });

  it("is kept for its owner's eyes alone", () => {
    const path = join(folder, "own");
    const key = developmentKey(path);
    expect(developmentKey(path)).toBe(key);
    expect(statSync(join(path, "development-key")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(path, "development-key"), "utf8")).toBe(`${key}\n`);
  });

  it("that was spoilt is not taken for one", () => {
    const path = join(folder, "spoilt");
    developmentKey(path);
    writeFileSync(join(path, "development-key"), "hg_dev_x");
    expect(() => developmentKey(path)).toThrow(/delete it, and the next start makes another/);
  });
});
