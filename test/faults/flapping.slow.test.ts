import { it } from "vitest";
import { flapRedis } from "../support/flapping-run.ts";
import { hasRedis } from "../support/redis.ts";

it.skipIf(!hasRedis)(
  "A4: Redis begins anew 100 times, every 300 ms: no more than twice a limit is let in, and nobody is failed",
  () => flapRedis(100),
  180_000,
);
