import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bind, Logger } from "headgate";
import { anthropic, openaiCompatible } from "headgate/providers";
import { json, type Responder, type Script, ScriptedUpstream, startGateway } from "headgate/testing";
import { SignJWT } from "jose";
import pg from "pg";
import { onTestFinished } from "vitest";
import { createLogger } from "../../core/services/logger.ts";
import { createMetrics } from "../../core/services/metrics-registry.ts";
import { allPlugins } from "./all-plugins.ts";
import { Canaries } from "./canaries.ts";
import type { PostgresServer } from "./postgres.ts";
import { sendRaw } from "./raw-http.ts";
import { freePort, type RedisServer } from "./redis.ts";

const ISSUER = { issuer: "https://issuer.example", audience: "headgate" } as const;
/** As if from elsewhere: on this machine more is allowed. */
const AWAY = { "x-forwarded-for": "203.0.113.9" };

type Headers = Readonly<Record<string, string>>;

interface Asking {
  readonly method?: string;
  /** A text is sent as it is. */
  readonly body?: object | string | Uint8Array;
  readonly key?: string;
  readonly headers?: Headers;
  readonly signal?: AbortSignal;
}

/** A gateway with every built-in plugin, all of whose secrets are canaries; whatever others may see of it is kept. */
export interface CanaryRig {
  readonly canaries: Canaries;
  readonly keys: Readonly<Record<"ann" | "poor" | "team" | "narrow" | "suspended" | "revoked" | "admin", string>>;
  readonly prompt: string;
  readonly jwtSecret: string;
  readonly annId: string;
  /** Statuses of all answers. */
  readonly statuses: number[];
  /** What the provider does with the next call. */
  next(script: Responder): void;
  ask(path: string, asking?: Asking): Promise<void>;
  /** Bytes as they are. */
  raw(bytes: string): Promise<void>;
  token(claims: object, secret?: string, expires?: string): Promise<string>;
  /** Looks at what lies in its folder. */
  readFiles(): void;
  /** Stops it, and gathers what is left to be seen. */
  stop(): Promise<void>;
}

export interface CanaryServers {
  readonly postgres?: PostgresServer;
  readonly redis?: RedisServer;
}

export async function startCanaries({ postgres, redis }: CanaryServers, redisPassword: string): Promise<CanaryRig> {
  const canaries = new Canaries();
  const hatch = (name: string) => canaries.hatch(name);
  if (redis) {
    canaries.keep("the password of Redis", redisPassword);
    await watchRedis(redis, redisPassword, canaries);
  }
  const data = mkdtempSync(join(tmpdir(), "headgate-canaries-"));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const upstream = await ScriptedUpstream.start();
  const collector = (await ScriptedUpstream.start()).always(json({}));
  const hook = (await ScriptedUpstream.start()).always((call) => ({
    status: 500,
    body: `no: ${call.path} ${JSON.stringify(call.headers)}`,
  }));
  for (const server of [upstream, collector, hook]) onTestFinished(() => server.close());
  let script: Responder = json({});
  upstream.always((call): Script | Promise<Script> => {
    if (call.method === "GET") return json({ data: [{ id: "m" }] });
    return typeof script === "function" ? script(call) : script;
  });
  const [prompt, jwtSecret, admin] = [hatch("a prompt"), hatch("the secret of JWTs"), `hg_${hatch("the development key")}`];
  const own = (await postgres?.database("canaries"))?.replace("postgres@", `postgres:${hatch("the password of PostgreSQL")}@`);
  const logger = createLogger({ level: "debug", metrics: createMetrics(), stream: { write: (line) => canaries.saw("a log line", line) } });
  const { url, gateway } = await startGateway(
    {
      data,
      ...(own && { database: own }),
      ...(redis && { redis: redis.url }),
      upstream: { firstContentMs: 150, idleMs: 150 },
      providers: [
        openaiCompatible({ name: "scripted", baseUrl: `${upstream.url}/v1`, apiKey: hatch("a provider's key") }),
        anthropic({ name: "claude", baseUrl: upstream.url, apiKey: hatch("another provider's key") }),
        openaiCompatible({ name: "gone", baseUrl: `http://127.0.0.1:${await freePort()}`, apiKey: hatch("a third provider's key") }),
      ],
      prices: { "scripted/m": { input: 1, output: 1 }, "claude/m": { input: 1, output: 1 } },
      plugins: [
        allPlugins({
          metrics: { otlp: { endpoint: collector.url, headers: { "x-collector": hatch("the collector's key") }, intervalMs: 1_000 } },
          auth: { developmentKey: admin, failuresPerMinute: 10_000, jwt: { ...ISSUER, algorithms: ["HS256"], secret: jwtSecret } },
          usage: { content: "store", contentKey: canaries.keep("the content key", randomBytes(32).toString("base64")) },
          rateLimit: { limits: ["1000/minute per key", "1/minute per team"] },
          quota: { plans: { trial: ["100M tokens/month"], poor: ["1000 tokens once"] } },
          alerts: {
            email: { url: `smtp://headgate:${hatch("the password of SMTP")}@127.0.0.1:${await freePort()}`, from: "headgate@example.com" },
            slack: { url: `${hook.url}/${hatch("the address of Slack")}`, about: ["usage", "health"] },
            pagerduty: { url: `${hook.url}/enqueue`, routingKey: hatch("the key of PagerDuty"), about: ["usage", "health"] },
            webhooks: [{ name: "ops", url: `${hook.url}/${hatch("the address of a webhook")}`, secret: hatch("the secret of a webhook") }],
          },
        }),
        {
          name: "clumsy",
          handle(exchange, next) {
            const { "x-test-throw": thrown } = exchange.client.headers;
            if (thrown !== undefined) throw new Error(`cannot go on with ${thrown}`);
            return next();
          },
        },
      ],
    },
    [bind(Logger, logger)],
  );
  const administer = async (method: string, path: string, body: object = {}) => {
    const headers = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
    const answer = await fetch(url + path, { method, headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { id: string; key: string };
  };
  const join_ = async (name: string, user: object = {}, key: object = {}) => {
    const { id } = await administer("POST", "/api/users", { email: `${name}@example.com`, ...user });
    const made = await administer("POST", "/api/keys", { name, user_id: id, ...key });
    canaries.keep(`the key of ${name}`, made.key);
    return { user: id, ...made };
  };
  const ann = await join_("ann");
  const poor = await join_("poor", { plan: "poor" });
  const team = await join_("team", { team: "red" });
  const narrow = await join_("narrow", {}, { models: ["nothing/*"], routes: ["chat"] });
  const suspended = await join_("suspended");
  const revoked = await join_("revoked");
  await administer("POST", `/api/users/${suspended.user}/suspend`, { reason: "late" });
  await administer("POST", `/api/keys/${revoked.id}/revoke`);
  const statuses: number[] = [];
  const saw = (status: number, headers: object, body: string, path: string) => {
    statuses.push(status);
    canaries.saw(`the answer ${status} of ${path.slice(0, 12)}`, `${JSON.stringify(headers)} ${body}`);
  };
  const readFiles = () => {
    for (const { name, parentPath } of readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())) {
      canaries.saw(`the file ${name}`, readFileSync(join(parentPath, name), "latin1"));
    }
  };
  return {
    canaries,
    keys: {
      ann: ann.key,
      poor: poor.key,
      team: team.key,
      narrow: narrow.key,
      suspended: suspended.key,
      revoked: revoked.key,
      admin,
    },
    annId: ann.user,
    prompt,
    jwtSecret,
    statuses,
    next(one) {
      script = one;
    },
    async ask(path, { method = "POST", body, key, headers = {}, signal } = {}) {
      const sent = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
      try {
        const answer = await fetch(url + path, {
          method,
          headers: {
            ...(key !== admin && AWAY),
            ...(body !== undefined && { "content-type": "application/json" }),
            ...(key !== undefined && { authorization: `Bearer ${key}` }),
            ...headers,
          },
          ...(sent !== undefined && { body: sent as string }),
          ...(signal && { signal }),
        });
        saw(answer.status, Object.fromEntries(answer.headers), await answer.text().catch(String), path);
      } catch (error) {
        if (!signal?.aborted) throw error;
      }
    },
    async raw(bytes) {
      const { responses } = await sendRaw(Number(new URL(url).port), bytes, { responses: 1, wait: 2_000 });
      for (const { status, headers, body } of responses) saw(status, headers, body, "raw bytes");
    },
    token: (claims, secret = jwtSecret, expires = "5m") =>
      new SignJWT({ sub: "bob", ...claims })
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer(ISSUER.issuer)
        .setAudience(ISSUER.audience)
        .setExpirationTime(expires)
        .sign(Buffer.from(secret)),
    readFiles,
    async stop() {
      canaries.saw("/metrics", await (await fetch(`${url}/metrics`)).text());
      await gateway.stop({ now: true });
      for (const { body } of collector.calls) canaries.saw("OTLP", body);
      readFiles();
      if (own) await readTables(own, canaries);
    },
  };
}

/** All that Redis is told, which is more than it keeps. */
async function watchRedis({ port }: RedisServer, password: string, canaries: Canaries): Promise<void> {
  const monitor = connect(port, "127.0.0.1").setEncoding("utf8");
  onTestFinished(() => void monitor.destroy());
  monitor.write(`AUTH ${password}\r\nMONITOR\r\n`);
  let line = "";
  monitor.on("data", (text: string) => {
    const lines = (line + text).split("\n");
    line = lines.pop() ?? "";
    canaries.saw("Redis", lines.join("\n"));
  });
  await once(monitor, "data");
}

async function readTables(url: string, canaries: Canaries): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ tablename: string }>("select tablename from pg_tables where schemaname = 'public'");
  for (const { tablename } of rows) {
    const table = await client.query(`select * from "${tablename}"`);
    canaries.saw(`the table ${tablename}`, JSON.stringify(table.rows));
  }
  await client.end();
}
