import { once } from "node:events";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Candidate, candidates } from "./candidates.ts";
import { Child, type Cores, divideCores } from "./child.ts";
import { type Figures, PLANS, type Plan, Runner, steady, streamed, target } from "./measure.ts";
import { describeMachine, markdown, type Round, summarise, writeBetweenMarks } from "./report.ts";
import { Servers } from "./servers.ts";

const USAGE = `npm run bench -- [--quick] [--only ${candidates.map(({ name }) => name).join(",")}] [--json]`;
const README = fileURLToPath(new URL("../../README.md", import.meta.url));

const say = (text: string) => process.stderr.write(`bench: ${text}\n`);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

class Bench {
  readonly #plan: Plan;
  readonly #cores: Cores | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), "headgate-bench-"));
  readonly #load: Child;
  readonly #upstream: Child;
  readonly #runners: Runner[] = [];
  readonly #servers = new Servers();
  #origin = "";

  constructor(plan: Plan, cores: Cores | undefined) {
    this.#plan = plan;
    this.#cores = cores;
    this.#load = new Child("load", { args: [fileURLToPath(new URL("load.ts", import.meta.url))], core: cores?.load });
    this.#upstream = new Child("upstream", { args: [fileURLToPath(new URL("upstream.ts", import.meta.url))], core: cores?.upstream });
  }

  async start(chosen: readonly Candidate[]): Promise<void> {
    const port = await freePort();
    this.#origin = `http://127.0.0.1:${port}`;
    await this.#upstream.ask("listen", port);
    for (const candidate of chosen) {
      const log = openSync(join(this.#folder, `${candidate.name}.log`), "w");
      const env = { ...(await this.#servers.tell(candidate.needs ?? [])), BENCH_DATA: join(this.#folder, candidate.name) };
      const runner = new Runner(candidate, await freePort(), this.#load, this.#origin, this.#cores, log, env);
      this.#runners.push(runner);
      await runner.ready();
      say(`warming up ${candidate.name}`);
      await runner.warmUp(this.#plan);
    }
  }

  /** Each proxy in turn for one kind of call, then for the next. */
  async round(): Promise<Round> {
    const plan = this.#plan;
    const proxies = new Map<string, Partial<Figures>>();
    const each = async (measure: (runner: Runner) => Promise<Partial<Figures>>) => {
      for (const runner of this.#runners) {
        const { name } = runner.candidate;
        proxies.set(name, { ...proxies.get(name), ...(await measure(runner)) });
      }
    };
    await each((runner) => runner.saturate(plan));
    const direct = await steady(this.#load, target(this.#origin), plan);
    await each((runner) => runner.steady(plan));
    const directStreams = await streamed(this.#load, target(this.#origin), plan);
    await each((runner) => runner.stream(plan));
    await each((runner) => runner.half(plan));
    return { direct: { ...direct, ...directStreams }, proxies: proxies as Map<string, Figures> };
  }

  async memory(): Promise<Map<string, number | string>> {
    const memory = new Map<string, number | string>();
    for (const runner of this.#runners) {
      const { name } = runner.candidate;
      say(`a thousand open streams: ${name}`);
      try {
        memory.set(name, await runner.memoryPerStream(this.#upstream));
      } catch (error) {
        say(`${name}: ${error instanceof Error ? error.message : error}`);
        memory.set(name, "not all whole");
        await this.#upstream.ask("release");
      }
    }
    return memory;
  }

  stop(): void {
    for (const child of [...this.#runners, this.#load, this.#upstream]) child.stop();
    this.#servers.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function choose(only: string | undefined): { chosen: Candidate[]; remarks: string[] } {
  // Without the bare proxy there is nothing to compare with.
  const names = only ? ["bare", ...only.split(",")] : candidates.map(({ name }) => name);
  const unknown = names.filter((name) => !candidates.some((candidate) => candidate.name === name));
  if (unknown.length > 0) throw new Error(`there is no ${unknown.join(", ")}; usage: ${USAGE}`);
  const wanted = candidates.filter(({ name }) => names.includes(name));
  return {
    chosen: wanted.filter(({ missing }) => !missing),
    remarks: wanted.flatMap(({ name, missing }) => (missing ? [`${name} was left out: ${missing}`] : [])),
  };
}

const { values: flags } = parseArgs({ options: { json: { type: "boolean" }, quick: { type: "boolean" }, only: { type: "string" } } });
const { chosen, remarks } = choose(flags.only);
for (const remark of remarks) say(remark);
const plan = flags.quick ? PLANS.quick : PLANS.full;
const cores = divideCores();
const machine = describeMachine(cores);
say(machine);

const bench = new Bench(plan, cores);
process.once("exit", () => bench.stop());
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

await bench.start(chosen);
const rounds: Round[] = [];
while (rounds.length < plan.rounds) {
  say(`round ${rounds.length + 1} of ${plan.rounds}`);
  rounds.push(await bench.round());
}
const { rows, targets } = summarise(rounds, await bench.memory(), chosen);
const command = ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" ");
const report = { date: new Date().toISOString().slice(0, 10), command, machine, rows, targets, remarks };
const text = markdown(report);
const shown = flags.json
  ? JSON.stringify({ ...report, rounds: rounds.map(({ direct, proxies }) => ({ direct, ...Object.fromEntries(proxies) })) }, null, 2)
  : text;
process.stdout.write(`${shown}\n`);
if (flags.quick || flags.only) say("a partial run is not written to README.md");
else if (writeBetweenMarks(README, text)) say("written to README.md");
else say("not written to README.md: it has no <!-- bench:start --> and <!-- bench:end -->");
process.exit();
