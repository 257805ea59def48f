import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

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
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const peer = `${root}.bench/node_modules/@portkey-ai/gateway/`;
const none = () => ({});

function headgate(config: string): Candidate["args"] {
  return (port) => [
    // As `npm start` and the published command have it.
    "--max-semi-space-size=32",
    "--conditions=headgate-source",
    `${root}core/cli/bin.ts`,
    ...["start", "--config", `${root}test/bench/proxies/${config}`, "--port", String(port)],
  ];
}

/** In the order of the table; the others are compared with the first. */
export const candidates: readonly Candidate[] = [
  { name: "bare", title: "bare `node:http` + undici", args: () => [`${root}test/bench/proxies/bare.ts`], headers: none },
  { name: "koa", title: "bare Koa + undici", args: () => [`${root}test/bench/proxies/koa.ts`], headers: none },
  { name: "headgate-empty", title: "Headgate, empty chain", args: headgate("empty.config.ts"), headers: none },
  {
    name: "headgate",
    title: "Headgate, shipped config",
    ...(!existsSync(`${root}gateway.config.ts`) && { missing: "there is no gateway.config.ts" }),
    args: headgate("shipped.config.ts"),
    headers: none,
  },
  {
    name: "portkey",
    title: `Portkey${existsSync(peer) ? ` ${(JSON.parse(readFileSync(`${peer}package.json`, "utf8")) as { version: string }).version}` : ""}`,
    ...(!existsSync(peer) && { missing: "install it with `npm run bench:peers`" }),
    args: (port) => [`${peer}build/start-server.js`, `--port=${port}`, "--headless"],
    headers: (upstream) => ({ "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream}/v1` }),
  },
];
