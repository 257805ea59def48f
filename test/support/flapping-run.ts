import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { ask, redis, start } from "./rate-rig.ts";

const LIMIT = 30;
const CLIENTS = 6;
/** Of one life of Redis, and of the time until the next, in ms. */
const HALF_MS = 150;

/**
 * Redis is killed and started empty so many times, every 300 ms, while two gateways let calls in on a limit for the hour:
 * all of it is one window. At most twice the limit gets in, and nobody is failed.
 */
export async function flapRedis(lives: number): Promise<void> {
  const server = await redis();
  const limits = [`${LIMIT} requests/hour`];
  const urls = [await start(limits, { redis: server.url }), await start(limits, { redis: server.url })].map(({ url }) => url);
  const answers = new Map<string, number>();
  let over = false;
  let others = 0;
  const clients = Array.from({ length: CLIENTS }, async (_, index) => {
    while (!over) {
      // Everybody else's calls show that Redis is asked, when it is there.
      const headers: Record<string, string> = index === 0 ? { "x-test-user": `usr_${others++}` } : {};
      const answer = await ask(urls[index % urls.length] as string, { headers });
      const name = `${index === 0 ? "others" : "one"} ${answer.status} ${answer.headers.get("x-headgate-ratelimit-mode")}`;
      answers.set(name, (answers.get(name) ?? 0) + 1);
      await sleep(10);
    }
  });
  for (let life = 0; life < lives; life++) {
    await sleep(HALF_MS);
    await server.kill();
    await sleep(HALF_MS);
    await server.restart();
  }
  over = true;
  await Promise.all(clients);
  const count = (pattern: RegExp) => [...answers].reduce((sum, [name, times]) => sum + (pattern.test(name) ? times : 0), 0);
  process.stderr.write(`${lives} lives of Redis: ${JSON.stringify(Object.fromEntries(answers))}\n`);
  expect(count(/ (?!200|429)\d{3} /), "calls that were failed").toBe(0);
  expect(count(/ redis$/), "calls that Redis decided").toBeGreaterThan(0);
  expect(count(/ local$/), "calls that were decided without it").toBeGreaterThan(0);
  expect(count(/^one 200/)).toBeGreaterThanOrEqual(LIMIT);
  expect(count(/^one 200/)).toBeLessThanOrEqual(2 * LIMIT);
}
