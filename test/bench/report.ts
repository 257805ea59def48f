import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import type { Candidate } from "./candidates.ts";
import type { Cores } from "./child.ts";
import { type Direct, type Figures, OPEN_STREAMS } from "./measure.ts";
import { median } from "./stats.ts";

export interface Round {
  readonly direct: Direct;
  readonly proxies: ReadonlyMap<string, Figures>;
}

/** Resident bytes per open stream, or why they were not all whole. */
export type Memory = ReadonlyMap<string, number | string>;

/** A proxy's medians over the rounds. A ratio is the median of the rounds' ratios, so that what slows a whole round cancels out. */
export interface Row {
  readonly name: string;
  readonly title: string;
  readonly cpuPerRequest: number;
  readonly cpuPerRequestRatio: number;
  readonly perSecond: number;
  readonly busy: number;
  readonly addedP50: number;
  readonly addedP99: number;
  readonly halfP99: number;
  readonly cpuPerChunk: number;
  readonly cpuPerChunkRatio: number;
  readonly addedFirst: number;
  readonly memory: number | string;
}

export interface Target {
  readonly what: string;
  readonly wanted: string;
  /** Undefined when it was not measured in this run. */
  readonly got?: string;
  readonly met?: boolean;
}

export interface Report {
  readonly date: string;
  readonly command: string;
  readonly machine: string;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  /** What a reader has to know besides, such as a peer that is absent. */
  readonly remarks: readonly string[];
}

export function summarise(rounds: readonly Round[], memory: Memory, measured: readonly Candidate[]): { rows: Row[]; targets: Target[] } {
  const over = (name: string, value: (own: Figures, round: Round) => number) =>
    median(rounds.map((round) => value(round.proxies.get(name) as Figures, round)));
  const ratio = (name: string, other: string, key: keyof Figures) =>
    over(name, (own, { proxies }) => own[key] / (proxies.get(other) as Figures)[key]);
  const rows = measured.map(({ name, title }) => ({
    name,
    title,
    cpuPerRequest: over(name, (own) => own.cpuPerRequest),
    cpuPerRequestRatio: ratio(name, "bare", "cpuPerRequest"),
    perSecond: over(name, (own) => own.perSecond),
    busy: over(name, (own) => own.busy),
    addedP50: over(name, (own, { direct }) => own.p50 - direct.p50),
    addedP99: over(name, (own, { direct }) => own.p99 - direct.p99),
    halfP99: over(name, (own) => own.halfP99),
    cpuPerChunk: over(name, (own) => own.cpuPerChunk),
    cpuPerChunkRatio: ratio(name, "bare", "cpuPerChunk"),
    addedFirst: over(name, (own, { direct }) => own.firstP50 - direct.firstP50),
    memory: memory.get(name) ?? "not measured",
  }));

  const row = (name: string) => rows.find((other) => other.name === name);
  const target = (what: string, limit: number, value: number | undefined, unit: string, atLeast = false): Target => ({
    what,
    wanted: `${atLeast ? "at least" : "at most"} ${limit}${unit}`,
    ...(value !== undefined && { got: `${value.toFixed(2)}${unit}`, met: atLeast ? value >= limit : value <= limit }),
  });
  const kilobytes = (held: Row["memory"] | undefined) =>
    held === undefined ? undefined : typeof held === "number" ? held / 1024 : Number.POSITIVE_INFINITY;
  /** What a chain costs beyond the empty one, in units of the bare proxy: the median of the rounds' own. */
  const beyondEmpty = (name: string) =>
    row(name) && row("headgate-empty")
      ? median(
          rounds.map(({ proxies }) => {
            const cpu = (which: string) => (proxies.get(which) as Figures).cpuPerRequest;
            return (cpu(name) - cpu("headgate-empty")) / cpu("bare");
          }),
        )
      : undefined;
  const [empty, metrics, spend, shared, shipped] = [
    "headgate-empty",
    "headgate-metrics",
    "headgate-spend",
    "headgate-shared",
    "headgate",
  ].map(row);
  const targets = [
    target("empty chain, CPU per request against the bare proxy", 1.5, empty?.cpuPerRequestRatio, "×"),
    target("metrics, CPU per request against the bare proxy", 1.8, metrics?.cpuPerRequestRatio, "×"),
    target("empty chain, CPU per chunk against the bare proxy", 1.5, empty?.cpuPerChunkRatio, "×"),
    target("shipped chain, CPU per chunk against the bare proxy", 1.5, shipped?.cpuPerChunkRatio, "×"),
    target(`shipped chain, memory for each of ${OPEN_STREAMS} open streams`, 64, kilobytes(shipped?.memory), " KB"),
    target(
      "metrics, requests per second against Portkey",
      4,
      metrics && row("portkey") && ratio("headgate-metrics", "portkey", "perSecond"),
      "×",
      true,
    ),
    target("who may spend what, CPU per request beyond the empty chain", 0.6, beyondEmpty("headgate-spend"), "×"),
    target("the same on PostgreSQL and Redis", 1, beyondEmpty("headgate-shared"), "×"),
    target("who may spend what, added p99 at half load", 3, spend?.halfP99, " ms"),
    target("the same on PostgreSQL and Redis", 3, shared?.halfP99, " ms"),
  ];
  return { rows, targets };
}

/** Where it ran, in one phrase. */
export function describeMachine(cores: Cores | undefined): string {
  const all = cpus();
  const pinned = cores ? "the proxy alone on one of them" : "processes not held to a core";
  return `${all.length} × ${all[0]?.model.trim() || process.arch}, ${pinned}; Node ${process.versions.node} on ${process.platform}`;
}

export function markdown({ date, command, machine, rows, targets, remarks }: Report): string {
  const micros = (value: number) => `${value.toFixed(0)} µs`;
  const millis = (value: number) => `${value.toFixed(2)} ms`;
  const cells = rows.map((row) => [
    row.title,
    micros(row.cpuPerRequest),
    `${row.cpuPerRequestRatio.toFixed(2)}×`,
    Math.round(row.perSecond).toLocaleString("en"),
    `${(row.busy * 100).toFixed(0)} %`,
    millis(row.addedP50),
    millis(row.addedP99),
    millis(row.halfP99),
    micros(row.cpuPerChunk),
    `${row.cpuPerChunkRatio.toFixed(2)}×`,
    millis(row.addedFirst),
    typeof row.memory === "number" ? `${(row.memory / 1024).toFixed(0)} KB` : row.memory,
  ]);
  const head = [
    "",
    "CPU/request",
    "",
    "req/s",
    "of a core",
    "added p50",
    "added p99",
    "at half load",
    "CPU/chunk",
    "",
    "added first token",
    "memory/stream",
  ];
  return [
    `Measured on ${date} with \`${command}\` (${machine}).`,
    "",
    ...table(head, cells),
    "",
    ...targets.map(
      ({ what, wanted, got, met }) => `- ${what}: ${got ? `${got}, ${met ? "met" : "**missed**"}` : "not measured"} (${wanted})`,
    ),
    ...remarks.map((remark) => `- ${remark}`),
  ].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, 3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)];
}

/** Puts the text between the file's two marks; false when there is no such file or it has none. */
export function writeBetweenMarks(file: string, text: string): boolean {
  if (!existsSync(file)) return false;
  const [start, end] = ["<!-- bench:start -->", "<!-- bench:end -->"];
  const whole = readFileSync(file, "utf8");
  const [from, to] = [whole.indexOf(start), whole.indexOf(end)];
  if (from < 0 || to < from) return false;
  writeFileSync(file, `${whole.slice(0, from + start.length)}\n${text}\n${whole.slice(to)}`);
  return true;
}
