/** Koa with nothing in between: reads and writes JSON, hands streams on. */
import { buffer } from "node:stream/consumers";
import Koa from "koa";
import { Pool } from "undici";

const upstream = new Pool(process.env.BENCH_UPSTREAM ?? "", { headersTimeout: 0, bodyTimeout: 0 });
const app = new Koa();

app.use(async (context) => {
  const asked = JSON.parse((await buffer(context.req)).toString()) as { stream?: boolean };
  const { statusCode, headers, body } = await upstream.request({
    path: context.path,
    method: "POST",
    headers: { "content-type": "application/json", authorization: context.get("authorization") },
    body: JSON.stringify(asked),
  });
  context.status = statusCode;
  context.type = String(headers["content-type"]);
  context.body = asked.stream ? body : ((await body.json()) as object);
});
app.listen(Number(process.env.PORT), "127.0.0.1").keepAliveTimeout = 65_000;
