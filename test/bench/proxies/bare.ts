/** The least that can be called a proxy: both bodies piped, back-pressure kept, either side's leaving passed on. */
import { createServer, type IncomingHttpHeaders } from "node:http";
import { Pool } from "undici";

const upstream = new Pool(process.env.BENCH_UPSTREAM ?? "", { headersTimeout: 0, bodyTimeout: 0 });

function endToEnd({ host, connection, "keep-alive": _, "transfer-encoding": __, ...headers }: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers;
}

createServer({ keepAliveTimeout: 65_000 }, async (request, response) => {
  try {
    const { statusCode, headers, body } = await upstream.request({
      path: request.url ?? "/",
      method: request.method as "POST",
      headers: endToEnd(request.headers),
      body: request,
    });
    response.writeHead(statusCode, endToEnd(headers));
    // Not `pipeline`, whose bookkeeping would more than double what a request costs here.
    body.pipe(response);
    body.once("error", () => response.destroy());
    response.once("close", () => body.destroy());
  } catch {
    response.writeHead(502).end();
  }
}).listen(Number(process.env.PORT), "127.0.0.1");
