import { Database, defineGateway, definePlugin, env } from "headgate";
import { metrics, quota, usage } from "headgate/plugins";
import { sql } from "kysely";
import { z } from "zod";
import { asCaller } from "./caller.ts";
import { loopProbe } from "./loop-probe.ts";
import { provider } from "./scripted-provider.ts";

/** `GET /slow-report?rows=` counts so many, where reports are made. */
const slowReport = definePlugin({
  name: "slow-report",
  options: z.strictObject({}),
  inject: { db: Database },
  setup: (_, { db }) => ({
    routes: [
      {
        method: "GET",
        path: "/slow-report",
        access: "operator",
        query: z.strictObject({ rows: z.coerce.number() }),
        async handle({ query }) {
          const { rows } = query as { rows: number };
          await sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < ${rows}) select count(*) from n`.execute(
            db.reports(),
          );
          return { body: {} };
        },
      },
    ],
  }),
});

/** What a gateway runs whose reports take long; see gateway-process.ts. */
export default defineGateway({
  server: { port: 0 },
  data: env("DATA"),
  log: { level: "silent" },
  providers: [provider("openai-chat", env("UPSTREAM_URL"), "scripted")],
  plugins: [metrics(), loopProbe(), asCaller(), usage(), quota({ plans: { small: ["900M tokens once"] } }), slowReport()],
});
