/**
 * CPU per call of the chain alone, plugin by plugin: `npm run bench:chain`. No HTTP on either side, so that a change of
 * 2 % shows; what `npm run bench` tells is the whole. In one process, chains in turn, with all that the calls leave for
 * later (their way to the database) done before the clock stops.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { defineGateway, defineProvider, type PluginEntry, type Spool, Spools } from "headgate";
import { z } from "zod";
import { resolveConfig } from "../../core/config/check.ts";
import { bind, Scope } from "../../core/di.ts";
import { Generation } from "../../core/generation.ts";
import { dialectOf } from "../../core/http/client-dialects.ts";
import { LiveExchange } from "../../core/live-exchange.ts";
import { Clock } from "../../core/services/clock.ts";
import { createDatabase } from "../../core/services/database/open.ts";
import { Database } from "../../core/services/database.ts";
import { createLogger, Logger } from "../../core/services/logger.ts";
import { Metrics } from "../../core/services/metrics.ts";
import { Random } from "../../core/services/random.ts";
import { FileSpools } from "../../core/services/spool/spools.ts";
import { answer, MODEL, request } from "./payload.ts";
import { quantile } from "./stats.ts";

process.env.BENCH_DATA = mkdtempSync(join(tmpdir(), "headgate-chain-"));
process.once("exit", () => rmSync(process.env.BENCH_DATA ?? "", { recursive: true, force: true }));
const { spend } = await import("./proxies/chains.ts");
const [auth, usage, rates, quota] = spend as [PluginEntry, PluginEntry, PluginEntry, PluginEntry];

const CHAINS: Record<string, PluginEntry[]> = {
  empty: [],
  auth: [auth],
  usage: [auth, usage],
  "rate-limit": [auth, rates],
  quota: [auth, quota],
  all: [auth, usage, rates, quota],
};
/** Calls that are under way at once, as in one turn of a busy gateway's event loop. */
const ABREAST = 4;
const WARM_UP = 20_000;

const dialect = dialectOf("/v1/chat/completions");

const memory = defineProvider({
  name: "openai",
  options: z.strictObject({}),
  setup: () => ({
    name: "openai",
    dialect: "openai-chat",
    baseUrl: "http://127.0.0.1:1/v1",
    headers: () => ({ authorization: "Bearer none" }),
    send: async () => {
      let piece: Buffer | null = Buffer.from(answer(0));
      const read = async () => {
        const next = piece;
        piece = null;
        return next;
      };
      return { status: 200, headers: { "content-type": "application/json" }, body: { read, destroy: () => undefined } };
    },
  }),
});

/** A gateway without its HTTP side. */
class Chain {
  readonly #generation: Generation;
  readonly #spools: Spool[] = [];
  readonly cpu: number[] = [];
  /** Of that, by the thread that the calls are in. */
  readonly own: number[] = [];

  constructor(name: string, plugins: PluginEntry[]) {
    const config = resolveConfig(
      defineGateway({
        providers: [memory()],
        models: { [MODEL]: `openai/${MODEL}` },
        plugins,
        data: join(process.env.BENCH_DATA ?? "", name),
        log: { level: "error" },
      }),
    );
    const { settings } = config;
    const scope = new Scope();
    const logger = createLogger({ level: "error", metrics: scope.get(Metrics) });
    scope.bind(bind(Logger, logger));
    const files = new FileSpools(settings.data, { clock: scope.get(Clock), metrics: scope.get(Metrics), logger });
    scope.bind(
      bind(Spools, {
        instance: files.instance,
        open: async (options) => {
          const spool = await files.open(options);
          this.#spools.push(spool);
          return spool;
        },
      }),
    );
    scope.bind(bind(Database, createDatabase({ url: undefined, data: settings.data, random: scope.get(Random), logger })));
    this.#generation = new Generation(config, scope, { startedAt: 0, draining: false });
  }

  start(): Promise<void> {
    return this.#generation.start();
  }

  /** Makes `calls`, and notes the CPU that each took, in µs. */
  async round(calls: number): Promise<void> {
    const before = process.cpuUsage();
    const thread = process.threadCpuUsage();
    for (let made = 0; made < calls; made += ABREAST) {
      await Promise.all(Array.from({ length: ABREAST }, (_, at) => this.#call(made + at)));
      await new Promise(setImmediate);
    }
    for (const spool of this.#spools) await spool.drained(10_000);
    const { user, system } = process.cpuUsage(before);
    this.cpu.push((user + system) / calls);
    const own = process.threadCpuUsage(thread);
    this.own.push((own.user + own.system) / calls);
  }

  async #call(number: number): Promise<void> {
    const { calls, catalogue, clock, ids, run } = this.#generation;
    const body = request(number, false);
    const wire = JSON.parse(body);
    const exchange = new LiveExchange({
      id: ids.next("req"),
      operation: "chat",
      dialect: dialect.name,
      client: {
        ip: "127.0.0.1",
        headers: { authorization: "Bearer hg_dev_of_the_bench", "content-length": String(body.length), "user-agent": "bench" },
      },
      startedAt: clock.monotonic(),
      wire,
      request: dialect.client.readRequest("chat", wire),
    });
    exchange.targets = catalogue.resolve(exchange.requestedModel);
    calls.begin(exchange);
    await run(exchange);
    calls.settle(exchange, { kind: "complete", status: 200, usage: exchange.attempts[0]?.usage ?? null, estimated: false });
  }
}

const { values: flags } = parseArgs({
  options: { only: { type: "string" }, rounds: { type: "string", default: "9" }, calls: { type: "string", default: "8000" } },
});
// No timer of the gateway keeps a process alive.
setInterval(() => undefined, 60_000);
const names = flags.only?.split(",") ?? Object.keys(CHAINS);
const unknown = names.filter((name) => !Object.hasOwn(CHAINS, name));
if (unknown.length > 0) throw new Error(`there is no ${unknown.join(", ")}; there are ${Object.keys(CHAINS).join(", ")}`);
const chains = new Map(names.map((name) => [name, new Chain(name, CHAINS[name] as PluginEntry[])]));
for (const [name, chain] of chains) {
  process.stderr.write(`bench: warming up ${name}\n`);
  await chain.start();
  await chain.round(WARM_UP);
  chain.cpu.length = 0;
  chain.own.length = 0;
}
for (let round = 0; round < Number(flags.rounds); round++) for (const chain of chains.values()) await chain.round(Number(flags.calls));
for (const [name, { cpu, own }] of chains) {
  console.log(
    `${name.padEnd(12)} ${quantile(cpu, 0.5).toFixed(1)} µs, least ${Math.min(...cpu).toFixed(1)}; in its own thread ${quantile(own, 0.5).toFixed(1)}`,
  );
}
process.exit();
