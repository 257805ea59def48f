import { defineGateway, env } from "headgate";
import { metrics } from "headgate/plugins";
import { simulator } from "headgate/providers";

/** What process.test.ts starts as a process of its own. */
export default defineGateway({
  server: { maxConnections: env.int("EDGE_CONNECTIONS", 10_000) },
  log: { level: env.int("EDGE_DEBUG", 0) ? "debug" : "error" },
  providers: [simulator({ speed: 0 }), simulator({ name: "paced", latencyMs: 10 })],
  plugins: [metrics()],
});
