import { defineProvider } from "headgate";
import { answerIn, ScriptedUpstream, startGateway } from "headgate/testing";
import { z } from "zod";
import { sendRaw } from "/work/main/test/support/raw-http.ts";

const up = await ScriptedUpstream.start();
up.always(answerIn("openai-chat", { text: "hi" }));
const p = defineProvider({
  name: "scripted",
  options: z.strictObject({}),
  setup: () => ({
    name: "scripted",
    dialect: "openai-chat",
    baseUrl: up.url,
    headers: () => ({ authorization: "Bearer sk-up-canary" }),
    models: [{ id: "m" }],
  }),
});
const g = await startGateway({ providers: [p()], plugins: [] });
const port = Number(new URL(g.url).port);
const body = JSON.stringify({ model: "scripted/m", messages: [{ role: "user", content: "hi" }] });
const L = body.length;
const good = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${L}\r\n\r\n${body}`;
const req = (headers: string, b = body, line = "POST /v1/chat/completions HTTP/1.1") =>
  `${line}\r\nhost: x\r\ncontent-type: application/json\r\n${headers}\r\n${b}`;
const chunked = `${L.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const shapes: Record<string, string> = {
  good,
  "CL+TE": req(`content-length: ${L}\r\ntransfer-encoding: chunked\r\n`, chunked),
  "TE+CL": req(`transfer-encoding: chunked\r\ncontent-length: ${L}\r\n`, chunked),
  "TE twice": req(`transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n`, chunked),
  "TE chunked, identity": req(`transfer-encoding: chunked, identity\r\n`, chunked),
  "TE identity, chunked": req(`transfer-encoding: identity, chunked\r\n`, chunked),
  "TE chunked, chunked": req(`transfer-encoding: chunked, chunked\r\n`, chunked),
  "TE xchunked": req(`transfer-encoding: xchunked\r\n`, chunked),
  "TE tab": req(`transfer-encoding:\tchunked\r\n`, chunked),
  "TE vtab": req(`transfer-encoding: \x0bchunked\r\n`, chunked),
  "TE gzip, chunked": req(`transfer-encoding: gzip, chunked\r\n`, chunked),
  "TE space before colon": req(`transfer-encoding : chunked\r\n`, chunked),
  "TE quoted": req(`transfer-encoding: "chunked"\r\n`, chunked),
  "TE gzip": req(`transfer-encoding: gzip\r\n`, chunked),
  "TE empty": req(`transfer-encoding: \r\n`, chunked),
  "TE chunkedX nul": req(`transfer-encoding: chunked\0\r\n`, chunked),
  "CL dup same": req(`content-length: ${L}\r\ncontent-length: ${L}\r\n`),
  "CL dup": req(`content-length: ${L}\r\ncontent-length: 0\r\n`),
  "CL list": req(`content-length: ${L}, ${L}\r\n`),
  "CL +5": req(`content-length: +${L}\r\n`),
  "CL -1": req(`content-length: -1\r\n`),
  "CL hex": req(`content-length: 0x${L.toString(16)}\r\n`),
  "CL 1e2": req(`content-length: 1e2\r\n`),
  "CL 5.0": req(`content-length: ${L}.0\r\n`),
  "CL underscore": req(`content-length: 1_0\r\n`),
  "CL empty": req(`content-length: \r\n`),
  "CL huge": req(`content-length: 99999999999999999999999\r\n`),
  "CL inner space": req(`content-length: 1 1\r\n`),
  "CL space colon": req(`content-length : ${L}\r\n`),
  "CL lead space": req(` content-length: ${L}\r\n`),
  "CL short": req(`content-length: ${L - 5}\r\n`),
  "obs-fold": req(`content-length: ${L}\r\nx-a: b\r\n c\r\n`),
  "obs-fold TE": req(`transfer-encoding:\r\n chunked\r\n`, chunked),
  "bare LF headers": good.replaceAll("\r\n", "\n"),
  "bare LF one": req(`x-a: b\ncontent-length: ${L}\r\n`),
  "bare CR header": req(`x-a: b\rcontent-length: 0\r\ncontent-length: ${L}\r\n`),
  "bare CR term": `POST /v1/chat/completions HTTP/1.1\rhost: x\r\r`,
  "NUL value": req(`x-a: b\0c\r\ncontent-length: ${L}\r\n`),
  "NUL name": req(`x\0a: b\r\ncontent-length: ${L}\r\n`),
  "no colon": req(`x-a\r\ncontent-length: ${L}\r\n`),
  "empty name": req(`: x\r\ncontent-length: ${L}\r\n`),
  "bad chunk size": req(`transfer-encoding: chunked\r\n`, `zz\r\n${body}\r\n0\r\n\r\n`),
  "neg chunk": req(`transfer-encoding: chunked\r\n`, `-5\r\n${body}\r\n0\r\n\r\n`),
  "0x chunk": req(`transfer-encoding: chunked\r\n`, `0x${L.toString(16)}\r\n${body}\r\n0\r\n\r\n`),
  "chunk overflow": req(`transfer-encoding: chunked\r\n`, `ffffffffffffffff${L.toString(16)}\r\n${body}\r\n0\r\n\r\n`),
  "chunk LF": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)}\n${body}\r\n0\r\n\r\n`),
  "chunk ext": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)};a=b\r\n${body}\r\n0\r\n\r\n`),
  "chunk ext LF": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)};a\nxx\r\n${body}\r\n0\r\n\r\n`),
  "chunk ext 20k": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)};${"a".repeat(20000)}\r\n${body}\r\n0\r\n\r\n`),
  "chunk no CRLF after": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)}\r\n${body}0\r\n\r\n`),
  "chunk space": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)} \r\n${body}\r\n0\r\n\r\n`),
  "trailer CL": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)}\r\n${body}\r\n0\r\ncontent-length: 5\r\n\r\n`),
  "trailer auth": req(`transfer-encoding: chunked\r\n`, `${L.toString(16)}\r\n${body}\r\n0\r\nauthorization: Bearer x\r\nhost: y\r\n\r\n`),
  "HTTP/1.0 TE": req(`transfer-encoding: chunked\r\n`, chunked, "POST /v1/chat/completions HTTP/1.0"),
  "HTTP/1.0": req(`content-length: ${L}\r\n`, body, "POST /v1/chat/completions HTTP/1.0"),
  "HTTP/0.9": "GET /health\r\n",
  "HTTP/9.9": req(`content-length: ${L}\r\n`, body, "POST /v1/chat/completions HTTP/9.9"),
  "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "dup host": req(`host: y\r\ncontent-length: ${L}\r\n`),
  "no host": `POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: ${L}\r\n\r\n${body}`,
  "line space": req(`content-length: ${L}\r\n`, body, "POST /v1/chat/completions  HTTP/1.1"),
  "line tab": req(`content-length: ${L}\r\n`, body, "POST\t/v1/chat/completions\tHTTP/1.1"),
  "lead CRLF": "\r\n\r\n" + good,
  "method lower": req(`content-length: ${L}\r\n`, body, "post /v1/chat/completions HTTP/1.1"),
  "method unknown": req(`content-length: ${L}\r\n`, body, "FOO /v1/chat/completions HTTP/1.1"),
  CONNECT: "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
  Upgrade: "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
  "Upgrade post": req(`content-length: ${L}\r\nconnection: upgrade\r\nupgrade: websocket\r\n`),
  "GET with body": req(`content-length: ${L}\r\n`, body, "GET /v1/models HTTP/1.1"),
  "target space": req(`content-length: ${L}\r\n`, body, "POST /v1/chat/completions /x HTTP/1.1"),
  "hi bytes target": req(`content-length: ${L}\r\n`, body, "POST /v1/chat\xff HTTP/1.1"),
  TRACE: "TRACE /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
  "OPTIONS *": "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
  OPTIONS: "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: x\r\norigin: http://e\r\naccess-control-request-method: POST\r\n\r\n",
  HEAD: "HEAD /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
  "Expect other": req(`content-length: ${L}\r\nexpect: 200-maybe\r\n`),
  "header overflow": req(`x-a: ${"a".repeat(17000)}\r\ncontent-length: ${L}\r\n`),
  "many headers": req("x: y\r\n".repeat(3000) + `content-length: ${L}\r\n`),
  garbage: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
};
process.on("uncaughtException", (e) => console.log("UNCAUGHT", e));
process.on("unhandledRejection", (e) => console.log("UNHANDLED", e));
for (const [name, bytes] of Object.entries(shapes)) {
  const before = up.calls.length;
  const a = await sendRaw(port, Buffer.from(bytes + good.replace('"hi"', '"smuggled"').replace(`${L}`, `${L + 6}`), "latin1"), {
    wait: 700,
  });
  console.log(
    name.padEnd(24),
    a.responses.map((r) => r.status + ":" + (/"code":"(\w+)"/.exec(r.body)?.[1] ?? "") + (r.headers.connection ?? "")).join(" | "),
    "closed=" + a.closed,
    "calls=" + (up.calls.length - before),
    a.interim.join(),
  );
}
await g.stop();
await up.close();
process.exit();
