import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerIn, ScriptedUpstream } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { spawnGateway } from "../support/gateway-process.ts";
import { ask, passed, redis } from "../support/rate-rig.ts";
import { hasRedis } from "../support/redis.ts";

const MODEL = { model: "scripted/m" };

it.skipIf(!hasRedis)(
  "D14: 200 calls at once on a limit of 50, through two gateway processes on one Redis: exactly 50 pass",
  async () => {
    const server = await redis();
    const upstream = (await ScriptedUpstream.start()).always(answerIn("openai-chat", { text: "Hi" }));
    onTestFinished(() => upstream.close());
    const gateways = [1, 2].map(() => {
      const data = mkdtempSync(join(tmpdir(), "headgate-limits-"));
      onTestFinished(() => rmSync(data, { recursive: true, force: true }));
      return spawnGateway({ UPSTREAM_URL: upstream.url, DATA: data, LIMITS_REDIS: server.url }, "limited.config.ts").ready;
    });
    const urls = await Promise.all(gateways);
    // Until both ask Redis.
    for (const url of urls) {
      const mode = async () =>
        (await ask(url, { headers: { "x-test-user": "usr_first" }, body: MODEL })).headers.get("x-headgate-ratelimit-mode");
      await expect.poll(mode, { timeout: 5_000 }).toBe("redis");
    }
    const before = upstream.calls.length;
    expect(await passed(urls, 200, MODEL)).toBe(50);
    expect(upstream.calls.length - before).toBe(50);
  },
  30_000,
);
