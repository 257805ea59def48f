import { setTimeout as sleep } from "node:timers/promises";
import {
  answerIn,
  cut,
  framesIn,
  json,
  type Responder,
  redirect,
  silence,
  silenceAfterHead,
  sse,
  type UpstreamCall,
} from "headgate/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { createLogger } from "../../core/services/logger.ts";
import { createMetrics } from "../../core/services/metrics-registry.ts";
import { Canaries, randomSecret } from "../support/canaries.ts";
import { type CanaryRig, type CanaryServers, startCanaries } from "../support/canary-rig.ts";
import { hasPostgres, startPostgres } from "../support/postgres.ts";
import { hasRedis, startRedis } from "../support/redis.ts";

const CHAT = "/v1/chat/completions";
const MESSAGES = "/v1/messages";
const ROUTES = [
  [CHAT, "scripted/m"],
  [MESSAGES, "claude/m"],
  [CHAT, "claude/m"],
] as const;

/** What a careless provider says: the key that it was given. */
const quoted = ({ headers }: UpstreamCall) =>
  `Incorrect API key provided: ${headers.authorization?.replace("Bearer ", "") ?? headers["x-api-key"]}.`;
const failing =
  (status: number): Responder =>
  (call) =>
    json({ type: "error", error: { message: quoted(call), type: quoted(call), code: quoted(call) } }, { status });
const FRAMES = framesIn("openai-chat", { text: ["one", " two", " three"] });

/** Every way in which a provider fails. */
const UPSTREAM: readonly Responder[] = [
  ...[400, 401, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529].map(failing),
  (call) => ({ status: 500, body: quoted(call) }),
  (call) => ({ status: 400, headers: { "content-type": "text/html" }, body: `<html>${quoted(call)}` }),
  (call) => ({ status: 200, headers: { "content-type": "application/json" }, body: quoted(call) }),
  (call) => ({ status: 200, headers: { "content-type": "application/json" }, body: `{"${quoted(call)}` }),
  (call) => json({ error: { message: quoted(call) } }),
  (call) => json([quoted(call)]),
  (call) => json({ id: quoted(call), choices: quoted(call), content: quoted(call), usage: quoted(call) }),
  (call) => redirect(`http://127.0.0.1:9/?key=${quoted(call)}`),
  (call) => json({ error: { message: "no" } }, { status: 429, headers: { "retry-after": quoted(call), "x-request-id": quoted(call) } }),
  (call) => ({ headers: { "content-type": "application/json", "content-encoding": "gzip" }, body: quoted(call) }),
  (call) => ({ framing: "raw", body: `HTTP/1.1 ${quoted(call)}\r\n\r\n` }),
  (call) => sse([`data: ${JSON.stringify({ error: { message: quoted(call), code: 400 } })}\n\n`]),
  (call) => sse([`event: error\ndata: ${quoted(call)}\n\n`]),
  (call) => sse([...FRAMES.slice(0, 2), `data: ${quoted(call)}\n\n`]),
  (call) => sse([...FRAMES.slice(0, 2), `data: ${JSON.stringify({ error: { message: quoted(call), type: quoted(call) } })}\n\n`]),
  (call) => sse([...FRAMES.slice(0, 2), `event: error\ndata: ${JSON.stringify({ type: "error", error: { message: quoted(call) } })}\n\n`]),
  (call) => cut(json({ message: quoted(call) }), { bytes: 40 }),
  cut(sse(FRAMES), { steps: 2 }),
  silence(),
  silenceAfterHead(),
];

async function failAtTheProvider({ ask, next, keys, prompt }: CanaryRig): Promise<void> {
  for (const script of UPSTREAM) {
    next(script);
    for (const [path, model] of ROUTES) {
      for (const stream of [false, true]) {
        await ask(path, { key: keys.ann, body: { model, stream, max_tokens: 20, messages: [{ role: "user", content: prompt }] } });
      }
    }
  }
}

async function ask({ ask, next, raw, keys, prompt, token, jwtSecret, annId, canaries }: CanaryRig): Promise<void> {
  const { ann, admin } = keys;
  next(answerIn("openai-chat", { text: "Hello to you" }));
  const chat = (extra: object = {}) => ({ model: "scripted/m", max_tokens: 20, messages: [{ role: "user", content: prompt }], ...extra });
  const wrong = canaries.hatch("a wrong key");

  // Bodies that make no sense.
  const bodies = [
    `{"messages": ${prompt}`,
    `{"messages": "${prompt}", "${prompt}": 1}`,
    JSON.stringify(chat()).slice(0, -3),
    JSON.stringify(`${prompt}`),
    `{"a":${"[".repeat(99)}"${prompt}"${"]".repeat(99)}}`,
    ...[
      { messages: prompt },
      { messages: [prompt] },
      { messages: [{ role: prompt, content: prompt }] },
      { messages: [{ role: "user", content: { [prompt]: prompt } }] },
      { messages: [{ role: "user", content: [{ type: prompt, text: prompt }] }] },
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: prompt } }] }] },
      { tools: [{ type: prompt, function: { name: prompt } }] },
      { tool_choice: prompt },
      { stop: { prompt } },
      { max_tokens: prompt },
      { temperature: prompt },
      { stream: prompt },
      { response_format: { type: prompt } },
      { model: "claude/m", n: 2 },
      { model: "claude/m", logit_bias: { [prompt]: prompt } },
      { model: "nobody/nothing" },
      { model: "gone/m" },
    ].map((extra) => JSON.stringify(chat(extra))),
  ];
  for (const path of [CHAT, MESSAGES]) {
    for (const body of bodies) await ask(path, { key: ann, body });
    await ask(path, { key: ann, body: JSON.stringify(chat()), headers: { "content-type": "text/plain" } });
    await ask(path, { key: ann, body: JSON.stringify(chat()), headers: { "content-encoding": "gzip" } });
    await ask(path, { key: ann, body: JSON.stringify(chat({ filler: prompt.repeat(150_000) })) });
    await ask(path, { key: ann, body: Buffer.concat([Buffer.from([0xff]), Buffer.from(prompt)]) });
    await ask(path, { key: ann, method: "GET" });
    await ask(`${path}/${prompt}`, { key: ann, body: chat() });
  }
  await ask("/v1/embeddings", { key: ann, body: { model: "scripted/m", input: { prompt } } });
  await ask("/v1/embeddings", { key: ann, body: { model: "claude/m", input: prompt } });

  // Keys that do not work, or not for that, or not there.
  const tokens = [
    await token({}, jwtSecret, "-5m"),
    await token({}, randomSecret()),
    await token({ aud: "others" }),
    await token({ sub: undefined }),
    `${(await token({})).slice(0, -4)}AAAA`,
  ];
  // What a token says of itself is no secret.
  for (const text of tokens) canaries.keep("a token's signature", text.slice(text.lastIndexOf(".") + 1, -4));
  const notGood = [wrong, `hg_${wrong}`, `sk-${wrong}`, `${ann.slice(0, -1)}!`, ann.toUpperCase(), `${ann}${wrong}`, ...tokens];
  for (const path of [CHAT, MESSAGES]) {
    for (const key of [...notGood, keys.revoked, keys.suspended, keys.narrow]) await ask(path, { key, body: chat() });
    for (const name of ["x-api-key", "api-key", "x-goog-api-key"]) await ask(path, { headers: { [name]: wrong }, body: chat() });
    await ask(path, { headers: { authorization: `Basic ${Buffer.from(`a:${wrong}`).toString("base64")}` }, body: chat() });
    await ask(path, { headers: { authorization: wrong }, body: chat() });
    await ask(path, { key: ann, headers: { "x-api-key": wrong }, body: chat() });
    await ask(path, { body: chat() });
    for (const name of ["key", "api_key", "access_token"]) await ask(`${path}?${name}=${ann}`, { body: chat() });
    await ask(path, { key: ann, headers: { "x-test-throw": `Bearer ${ann}` }, body: chat() });
    await ask(path, { key: ann, headers: { "x-test-throw": ann }, body: chat() });
    await raw(`POST ${path} HTTP/1.1\r\nhost: a@${wrong}\r\nauthorization: Bearer ${wrong}\r\ncontent-length: 0\r\n\r\n`);
    await raw(`POST ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${wrong}\r\nauthorization: Bearer ${wrong}\r\n\r\n`);
    await raw(`POST ${path} HTTP/1.1\r\nhost: a\r\nauthorization : Bearer ${wrong}\r\nx\r\n\r\n`);
    await raw(`POST ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${wrong.repeat(1_000)}\r\n\r\n`);
  }
  await ask("/v1/messages/count_tokens", { key: keys.narrow, body: chat() });
  await ask("/v1/models", { method: "GET", key: wrong });

  // Limits, and keys that make a call once.
  for (let n = 0; n < 3; n++) await ask(CHAT, { key: keys.team, body: chat() });
  for (let n = 0; n < 3; n++) await ask(CHAT, { key: keys.poor, body: chat({ max_tokens: 400 + n * 600 }) });
  const once = { key: ann, headers: { "idempotency-key": "first" } };
  await ask(CHAT, { ...once, body: chat() });
  await ask(CHAT, { ...once, body: chat({ max_tokens: 21 }) });
  await ask(CHAT, { key: ann, headers: { "idempotency-key": `${wrong} x` }, body: chat() });
  next(silence());
  const pending = { key: ann, headers: { "idempotency-key": "second" }, body: chat({ stream: true }) };
  await Promise.all([ask(CHAT, pending), sleep(30).then(() => ask(CHAT, pending))]);
  for (const stream of [false, true]) await ask(CHAT, { key: ann, body: chat({ stream }), signal: AbortSignal.timeout(60) });

  // The control plane.
  await ask("/api/alerts/test", { key: admin });
  for (const key of [undefined, wrong, ann, ...tokens]) {
    await ask("/api/users", { method: "GET", ...(key && { key }) });
    await ask("/api/keys", { body: { name: "x" }, ...(key && { key }) });
  }
  const idle: readonly [method: string, path: string, body?: object | string][] = [
    ["GET", `/api/keys/${ann}`],
    ["GET", `/api/users/${ann}`],
    ["GET", `/api/users?limit=${ann}`],
    ["GET", `/api/users?cursor=${ann}`],
    ["GET", `/api/users?${ann}=1`],
    ["GET", `/api/users?q=${ann}`],
    ["POST", `/api/keys/${ann}/revoke`],
    ["POST", `/api/keys/${ann}/rotate`],
    ["PATCH", `/api/keys/${ann}`, { name: "x" }],
    ["PATCH", `/api/users/${annId}`, { plan: { plan: ann } }],
    ["PATCH", `/api/users/${annId}`, { [ann]: 1 }],
    ["POST", "/api/keys", { name: "x", user_id: ann }],
    ["POST", "/api/keys", { name: "x", role: ann }],
    ["POST", "/api/keys", { name: "x", key: ann, token: ann }],
    ["POST", "/api/keys", { name: "x", ips: [ann] }],
    ["POST", "/api/users", { email: ann }],
    ["POST", "/api/users", `{"email": ${ann}`],
    ["PUT", `/api/users/${annId}/alert-thresholds`, { thresholds: [ann] }],
    ["PUT", `/api/users/${annId}/limits`, { limit: ann }],
    ["POST", `/api/users/${ann}/erase`, {}],
  ];
  for (const [method, path, body] of idle) await ask(path, { method, key: admin, ...(body !== undefined && { body }) });
  for (const path of ["users", "keys", "alerts", "audit", "usage", "plans", "me", "models", "openapi.json"]) {
    await ask(`/api/${path}`, { method: "GET", key: admin });
  }
  for (const path of ["/docs", "/health", "/health/ready"]) await ask(path, { method: "GET", key: admin });
}

async function askWithoutServers(rig: CanaryRig, { postgres, redis }: CanaryServers): Promise<void> {
  const body = { model: "scripted/m", max_tokens: 20, messages: [{ role: "user", content: rig.prompt }] };
  rig.next(answerIn("openai-chat", { text: "Hello to you" }));
  await Promise.all([postgres?.kill(), redis?.kill()]);
  for (const key of [rig.keys.ann, rig.keys.poor, rig.canaries.hatch("an unknown key")]) await rig.ask(CHAT, { key, body });
  for (const path of ["/api/users", "/api/audit", "/health/ready"]) await rig.ask(path, { method: "GET", key: rig.keys.admin });
  await rig.ask("/api/users", { key: rig.keys.admin, body: { email: "x@example.com" } });
  rig.readFiles();
  await postgres?.restart();
  await expect
    .poll(() => rig.ask("/api/users", { method: "GET", key: rig.keys.admin }).then(() => rig.statuses.at(-1)), { timeout: 20_000 })
    .toBe(200);
}

describe("E6: a secret", () => {
  it.each([["SQLite", false], ...(hasPostgres && hasRedis ? [["PostgreSQL and Redis", true] as const] : [])] as const)(
    "shows in no answer, log line, metric, trace, file or column, whatever goes wrong, on %s",
    async (_, servers) => {
      const password = randomSecret();
      const own: CanaryServers = servers ? { postgres: await startPostgres(), redis: await startRedis({ password }) } : {};
      onTestFinished(async () => void (await Promise.all([own.postgres?.stop(), own.redis?.stop()])));
      const rig = await startCanaries(own, password);
      await failAtTheProvider(rig);
      await ask(rig);
      if (servers) await askWithoutServers(rig, own);
      await rig.stop();
      expect(rig.canaries.hits()).toEqual([]);
      // It has looked where there is something to see.
      expect(new Set(rig.statuses.filter((status) => status >= 400)).size).toBeGreaterThan(12);
      expect(rig.statuses.filter((status) => status >= 400).length).toBeGreaterThan(200);
      for (const where of ["the answer", "a log line", "/metrics", "OTLP", "the file", ...(servers ? ["the table", "Redis"] : [])]) {
        expect(rig.canaries.seen(where), where).toBeGreaterThan(5_000);
      }
    },
    120_000,
  );

  it("that is a prompt, quoted by a provider, shows to its own client alone", async () => {
    const rig = await startCanaries({}, "");
    const quoting: readonly Responder[] = [
      ...[400, 401, 403, 413, 422, 429, 500, 503].map(
        (status): Responder =>
          () =>
            json({ type: "error", error: { message: `cannot say: ${rig.prompt}`, type: "no", code: "no" } }, { status }),
      ),
      { status: 400, body: rig.prompt },
      { status: 200, headers: { "content-type": "application/json" }, body: rig.prompt },
      { status: 200, headers: { "content-type": "application/json" }, body: `{"id": ${rig.prompt}` },
      sse([`data: ${JSON.stringify({ error: { message: rig.prompt } })}\n\n`]),
      sse([...FRAMES.slice(0, 2), `data: ${rig.prompt}\n\n`]),
      sse([...FRAMES.slice(0, 2), `data: ${JSON.stringify({ error: { message: rig.prompt } })}\n\n`]),
      sse([...FRAMES.slice(0, 2), `event: error\ndata: ${JSON.stringify({ type: "error", error: { message: rig.prompt } })}\n\n`]),
    ];
    for (const script of quoting) {
      rig.next(script);
      for (const [path, model] of ROUTES) {
        for (const stream of [false, true]) {
          const messages = [{ role: "user", content: `Say "${rig.prompt}"!` }];
          await rig.ask(path, { key: rig.keys.ann, body: { model, stream, max_tokens: 20, messages } });
        }
      }
    }
    await rig.stop();
    const { told = [], leaked = [] } = Object.groupBy(rig.canaries.hits(), (hit) =>
      hit.startsWith("a prompt in the answer") ? "told" : "leaked",
    );
    expect(leaked).toEqual([]);
    expect(told.length).toBeGreaterThan(10);
    expect(rig.canaries.seen("a log line")).toBeGreaterThan(5_000);
  }, 60_000);

  it("is found where it is logged, whole or in part", () => {
    const canaries = new Canaries();
    const secret = canaries.hatch("a key");
    const logger = createLogger({
      level: "debug",
      metrics: createMetrics(),
      stream: { write: (line) => canaries.saw("a log line", line) },
    });
    logger.info({ apiKey: secret, shown: secret.slice(-4) }, "masked");
    expect(canaries.hits()).toEqual([]);
    logger.debug({ err: new Error(`refused ${secret.slice(4, 12)}`) }, "leaking");
    expect(canaries.hits()).toHaveLength(1);
  });
});
