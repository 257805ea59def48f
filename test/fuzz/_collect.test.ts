import fc from "fast-check";
import { bind, Logger } from "headgate";
import { simulator } from "headgate/providers";
import { type AnswerDialect, FakeLogger, ScriptedUpstream, startGateway } from "headgate/testing";
import { Pool } from "undici";
import { it } from "vitest";
import { scripted } from "../support/edge.ts";
import { expectAnswer } from "./answers.ts";
import { takesAll } from "./provider.ts";
import { requests } from "./requests.ts";

it("collect", async () => {
  const D: AnswerDialect[] = ["openai-chat", "anthropic-messages", "gemini", "cohere"];
  const ups = await Promise.all(D.map(() => ScriptedUpstream.start()));
  const logger = new FakeLogger();
  const g = await startGateway(
    {
      log: { level: "debug" },
      providers: [
        simulator({ speed: 0 }),
        ...D.map((d, i) => {
          ups[i]!.always(takesAll(d));
          return scripted(d, d, ups[i]!.url);
        }),
      ],
      models: { fast: "simulator/sim-nano" },
      plugins: [],
    },
    [bind(Logger, logger)],
  );
  const pool = new Pool(g.url, { connections: 4 });
  const seen = new Map<string, { n: number; ex: string }>();
  const st: Record<string, number> = {};
  const t0 = performance.now();
  const N = Number(process.env.N ?? 5000);
  const all = fc.sample(requests, { numRuns: N, seed: Number(process.env.SEED ?? 1) });
  console.log("gen ms", performance.now() - t0);
  const t1 = performance.now();
  const why400: Record<string,number> = {};
  for (const r of all) {
    logger.lines.length = 0;
    const a = await pool.request({ method: "POST", path: r.path, body: r.body, headers: { "content-type": "application/json" } });
    const ans = { status: a.statusCode, headers: a.headers as any, body: await a.body.text() };
    const k = r.path + " " + a.statusCode;
    st[k] = (st[k] ?? 0) + 1;
    if (ans.status===400) { const w=(JSON.parse(ans.body).error.message as string).slice(0,70).replace(/\d+/g,"N"); why400[w]=(why400[w]??0)+1; }
    try {
      expectAnswer(r, ans);
    } catch (e: any) {
      const err = logger.lines
        .map((l: any) => {
          const e = l.fields?.err ?? l.err;
          return e?.cause
            ? String(e.cause.stack ?? e.cause)
                .split("\n")
                .slice(0, 3)
                .join(" | ")
            : e?.message;
        })
        .filter(Boolean)
        .join(" ; ");
      const key =
        (e.message ?? String(e))
          .slice(0, 200)
          .replace(/req_\w+/g, "")
          .replace(/"[^"]{30,}"/g, '"…"') +
        " ## " +
        err;
      const o = seen.get(key);
      if (o) {
        o.n++;
        if (r.body.length < o.ex.length) o.ex = r.path + " " + r.body;
      } else seen.set(key, { n: 1, ex: r.path + " " + r.body });
    }
  }
  console.log("send ms", performance.now() - t1, st);
  console.log(Object.entries(why400).sort((a,b)=>b[1]-a[1]).slice(0,30));
  for (const [k, v] of seen) console.log(v.n, k, "\n    ", v.ex.slice(0, 700));
  await g.stop();
  await pool.destroy();
  for (const u of ups) await u.close();
}, 600_000);
