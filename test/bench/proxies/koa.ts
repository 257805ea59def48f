/** Koa with nothing in between: reads and writes JSON, hands streams on. */
import type { IncomingMessage } from "node:http";
import Koa from "koa";
import { Pool } from "undici";

const upstream = new Pool(process.env.BENCH_UPSTREAM ?? "", { headersTimeout: 0, bodyTimeout: 0 });
const app = new Koa();

function readAll(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.once("end", () => resolve(Buffer.concat(pieces)));
    request.once("error", reject);
  });
}

app.use(async (context) => {
  const asked = JSON.parse((await readAll(context.req)).toString()) as { stream?: boolean };
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
