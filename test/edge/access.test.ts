import { ROLES } from "headgate";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allPlugins } from "../support/all-plugins.ts";
import { expectError } from "../support/error-body.ts";
import { tableRows } from "../support/pages.ts";

const DEVELOPMENT_KEY = "hg_dev_of_the_sweep_0123456789";
/** As if from elsewhere: on this machine more is allowed. */
const AWAY = { "x-forwarded-for": "203.0.113.9" };
const rows = tableRows("core/http/README.md", "route").map(([route = "", ...cells]) => [route.replaceAll("`", ""), cells] as const);

let gateway: TestGateway;
const keys: Record<string, string> = {};

async function call(route: string, key: string | undefined) {
  const [method = "", path = ""] = route.replace(/:\w+/g, "usr_of_somebody_else").split(" ");
  const response = await fetch(gateway.url + path, { method, headers: { ...AWAY, ...(key && { authorization: `Bearer ${key}` }) } });
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

beforeAll(async () => {
  const plugins = allPlugins({ auth: { developmentKey: DEVELOPMENT_KEY } });
  gateway = await startGateway({ database: "sqlite::memory:", providers: [simulator()], plugins });
  const headers = { "content-type": "application/json", authorization: `Bearer ${DEVELOPMENT_KEY}` };
  for (const role of ROLES) {
    const response = await fetch(`${gateway.url}/api/keys`, { method: "POST", headers, body: JSON.stringify({ name: role, role }) });
    keys[role] = ((await response.json()) as { key: string }).key;
  }
});
afterAll(() => gateway.stop());

describe("E7: every route and every role behave as the generated table says", () => {
  it.each(rows)("%s", async (route, cells) => {
    for (const [index, expected] of cells.entries()) {
      const role = ["nobody", ...ROLES][index] as string;
      const answer = await call(route, keys[role]);
      if (expected === "yes") {
        // What the handler says is its own affair: a stranger's id is not found, an empty body is not valid.
        expect([401, 403, 405, 500], `${role}: ${answer.status} ${answer.body}`).not.toContain(answer.status);
      } else {
        expect(answer.status, `${role}: ${answer.body}`).toBe(Number(expected));
        expectError(answer, "openai");
      }
    }
  });
});
