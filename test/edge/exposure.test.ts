import { networkInterfaces } from "node:os";
import { metrics } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { Pool } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHAT, MESSAGES } from "../support/edge.ts";
import { type Answered, expectError } from "../support/error-body.ts";

/** An address of this machine that is not loopback, as a neighbour would use it. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((face) => face && !face.internal && face.family === "IPv4")?.address;
if (!outside) process.stderr.write("this machine has no address but loopback: what neighbours may see is not tested\n");

let gateway: TestGateway;
let local: Pool;
beforeAll(async () => {
  gateway = await startGateway({ server: { host: "0.0.0.0" }, providers: [simulator({ speed: 0 })], plugins: [metrics()] });
  local = new Pool(`http://127.0.0.1:${new URL(gateway.url).port}`, { connections: 32 });
});
afterAll(async () => {
  await local.destroy();
  await gateway.stop();
});

async function call(pool: Pool, path: string, body?: object, headers: Record<string, string> = {}): Promise<Answered> {
  const method = body ? "POST" : "GET";
  const sent = { "content-type": "application/json", ...headers };
  const answer = await pool.request({ method, path, headers: sent, body: body ? JSON.stringify(body) : null });
  return { status: answer.statusCode, headers: answer.headers as Record<string, string>, body: await answer.body.text() };
}

describe("E13: what shows the gateway's inside", () => {
  it("is there for a caller on this machine", async () => {
    expect((await call(local, "/metrics")).body).toContain("headgate_requests_in_flight");
  });

  it.each(["x-forwarded-for", "forwarded"])("is not there for one that a proxy on this machine speaks for (%s)", async (name) => {
    const answer = await call(local, "/metrics", undefined, { [name]: "for=203.0.113.9" });
    expect(answer.status).toBe(404);
    expectError(answer, "openai");
  });

  it.skipIf(!outside)("is not there for a neighbour, whatever the neighbour claims", async () => {
    const neighbour = new Pool(`http://${outside}:${new URL(gateway.url).port}`);
    for (const headers of [
      {},
      { "x-forwarded-for": "127.0.0.1" },
      { "x-real-ip": "127.0.0.1" },
      { host: "127.0.0.1" },
      { host: "localhost" },
    ]) {
      const answer = await call(neighbour, "/metrics", undefined, headers as Record<string, string>);
      expect(answer.status).toBe(404);
      expectError(answer, "openai");
    }
    expect((await call(neighbour, "/health")).status).toBe(200);
    await neighbour.destroy();
  });

  it.each([
    ...[
      "/admin",
      "/debug",
      "/debug/pprof",
      "/api",
      "/api/keys",
      "/console",
      "/.env",
      "/.git/config",
      "/package.json",
      "/gateway.config.ts",
    ],
    ...[
      "/core/http/app.ts",
      "/core/http/app.js.map",
      "/server-status",
      "/actuator/env",
      "/metrics.json",
      "/v1",
      "/v1/",
      "/",
      "/favicon.ico",
    ],
  ])("is not at %s", async (path) => {
    const answer = await call(local, path);
    expect([400, 404]).toContain(answer.status);
    expectError(answer, "openai");
  });
});

describe("F9: names that callers make up", () => {
  const series = async () =>
    new Set(
      (await call(local, "/metrics")).body.split("\n").flatMap((line) => (/^\w/.test(line) ? [line.slice(0, line.lastIndexOf(" "))] : [])),
    );
  const name = () => Math.random().toString(36).slice(2);

  async function flood(count: number): Promise<void> {
    const ask = { max_tokens: 1, messages: [{ role: "user", content: "Hi" }] };
    const kinds = [
      () => call(local, CHAT, { ...ask, model: name() }),
      () => call(local, CHAT, { ...ask, model: `simulator/${name()}` }),
      () => call(local, CHAT, { ...ask, model: `${name()}/${name()}` }),
      () => call(local, CHAT, { ...ask, model: "simulator/sim-nano", user: name() }),
      () => call(local, MESSAGES, { ...ask, model: "simulator/sim-nano", metadata: { user_id: name() } }),
      () => call(local, CHAT, { ...ask, model: "simulator/sim-nano" }, { "x-headgate-user": name(), "user-agent": name() }),
      () => call(local, `/${name()}/${name()}`),
      () => call(local, `${CHAT}?${name()}=${name()}`),
      () => call(local, "/v1/models", { [name()]: name() }),
    ] as const;
    let left = count;
    const caller = async () => {
      while (left-- > 0) expect((await (kinds[left % kinds.length] as (typeof kinds)[number])()).status).toBeLessThan(500);
    };
    await Promise.all(Array.from({ length: 32 }, caller));
  }

  it("do not become series: 27,000 of nine kinds add at most five", async () => {
    await flood(90);
    const before = await series();
    expect(before.size).toBeGreaterThan(50);
    await flood(27_000);
    const added = [...(await series())].filter((each) => !before.has(each));
    expect(added.length, added.join("\n")).toBeLessThanOrEqual(5);
  }, 60_000);
});
