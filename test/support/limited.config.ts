import { defineGateway, env } from "headgate";
import { rateLimit } from "headgate/plugins";
import { asCaller } from "./caller.ts";
import { provider } from "./scripted-provider.ts";

/** What one of several gateways runs that share limits; see gateway-process.ts. */
export default defineGateway({
  server: { port: 0 },
  data: env("DATA"),
  redis: env.secret("LIMITS_REDIS"),
  log: { level: "silent" },
  providers: [provider("openai-chat", env("UPSTREAM_URL"), "scripted")],
  plugins: [asCaller(), rateLimit({ limits: ["50 requests/hour"] })],
});
