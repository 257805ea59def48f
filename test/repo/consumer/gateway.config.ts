import { defineGateway, env } from "headgate";
import { metrics } from "headgate/plugins/metrics";
import { providersFromEnv } from "headgate/presets";
import { simulator } from "headgate/providers";
import { department } from "./department.ts";

export default defineGateway({
  server: { port: env.int("PORT", 0) },
  providers: [simulator({ speed: 0 }), providersFromEnv()],
  models: { fast: "simulator/sim-small" },
  plugins: [metrics(), department({ unknown: "nobody's" })],
});
