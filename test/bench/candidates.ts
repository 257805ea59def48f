import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { hasPostgres } from "../support/postgres.ts";
import { hasRedis } from "../support/redis.ts";

/** A proxy that is measured. */
export interface Candidate {
  readonly name: string;
  readonly title: string;
  /** Why it cannot be measured here. */
  readonly missing?: string;
  /** Arguments of `node` that start it on this port; `BENCH_UPSTREAM` holds the upstream's origin. */
  args(port: number): readonly string[];
  /** What a client sends besides the usual headers. */
  headers(upstream: string): Record<string, string>;
  /** Servers that it needs, by the variable in which it is told of them. */
  readonly needs?: readonly ("BENCH_DATABASE_URL" | "BENCH_REDIS_URL")[];
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const peer = `${root}.bench/node_modules/@portkey-ai/gateway/`;
const none = () => ({});
/** As `npm start` and the published command have them; the others get the same, so that none is better off. */
const V8 = ["--max-semi-space-size=32", "--min-semi-space-size=16", "--no-memory-reducer"];
/** The development key of proxies/chains.ts. */
const withKey = () => ({ authorization: "Bearer hg_dev_of_the_bench" });

function headgate(config: string): Candidate["args"] {
  return (port) => [
    ...V8,
    "--conditions=headgate-source",
    `${root}.dev/headgate.mjs`,
    ...["start", "--config", `${root}test/bench/proxies/${config}`, "--port", String(port)],
  ];
}

/** In the order of the table; the others are compared with the first. */
export const candidates: readonly Candidate[] = [
  { name: "bare", title: "bare `node:http` + undici", args: () => [...V8, `${root}test/bench/proxies/bare.ts`], headers: none },
  { name: "koa", title: "bare Koa + undici", args: () => [...V8, `${root}test/bench/proxies/koa.ts`], headers: none },
  { name: "headgate-empty", title: "Headgate, empty chain", args: headgate("empty.config.ts"), headers: none },
  { name: "headgate-metrics", title: "Headgate, metrics", args: headgate("metrics.config.ts"), headers: none },
  { name: "headgate-spend", title: "Headgate, who may spend what", args: headgate("spend.config.ts"), headers: withKey },
  {
    name: "headgate-shared",
    title: "the same on PostgreSQL, Redis",
    ...(!hasPostgres && { missing: "there is no PostgreSQL on this machine" }),
    ...(!hasRedis && { missing: "there is no redis-server on this machine" }),
    args: headgate("shared.config.ts"),
    headers: withKey,
    needs: ["BENCH_DATABASE_URL", "BENCH_REDIS_URL"],
  },
  { name: "headgate", title: "Headgate, shipped chain", args: headgate("shipped.config.ts"), headers: withKey },
  {
    name: "portkey",
    title: `Portkey${existsSync(peer) ? ` ${(JSON.parse(readFileSync(`${peer}package.json`, "utf8")) as { version: string }).version}` : ""}`,
    ...(!existsSync(peer) && { missing: "install it with `npm run bench:peers`" }),
    args: (port) => [...V8, `${peer}build/start-server.js`, `--port=${port}`, "--headless"],
    headers: (upstream) => ({ "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream}/v1` }),
  },
];
