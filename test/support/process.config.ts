import { defineGateway, env } from "headgate";
import { metrics } from "headgate/plugins";
import { loopProbe } from "./loop-probe.ts";
import { provider, UPSTREAMS } from "./scripted-provider.ts";

const upstream = env("UPSTREAM_URL");

/** What a gateway in a process of its own runs; see gateway-process.ts. */
export default defineGateway({
  server: {
    port: 0,
    host: env("HOST", "127.0.0.1"),
    drainMs: env.int("DRAIN_MS", 30_000),
    limits: { stallMs: env.int("STALL_MS", 45_000) },
  },
  upstream: { bodyBytes: env.int("BODY_BYTES", 32 * 1024 * 1024) },
  log: { level: "silent" },
  providers: UPSTREAMS.map((dialect) => provider(dialect, upstream)),
  plugins: [metrics(), loopProbe()],
});
