import { relative } from "node:path";
import type { LoadedConfig } from "../config/load.ts";
import type { Announcement } from "../plugin.ts";
import { VERSION } from "../version.ts";
import { chainTree, REENTRY } from "./chain-tree.ts";
import type { Paint } from "./output.ts";

/** What `start` and `dev` say once the port is open. */
export function banner(
  config: LoadedConfig,
  url: string,
  routes: readonly string[],
  paint: Paint,
  announcements: readonly Announcement[] = [],
): string {
  const label = (text: string) => paint("dim", text.padEnd(16));
  return [
    "",
    `  ${paint("bold", `headgate ${VERSION}`)}  ${relative(process.cwd(), config.file)}`,
    "",
    ...drawChain(config, paint),
    "",
    `  ${label("OpenAI SDKs")}${url}/v1`,
    `  ${label("Anthropic SDKs")}${url}`,
    `  ${label("health")}${url}/health`,
    ...(routes.includes("/metrics") ? [`  ${label("metrics")}${url}/metrics`] : []),
    ...announcements.flatMap(({ lines = [] }) => lines.map(([word, text]) => `  ${label(word)}${text}`)),
    "",
    ...firstCall(config, url, Object.assign({}, ...announcements.map(({ headers }) => headers))),
    "",
    `  ${paint("green", `ready in ${Math.round(performance.now())} ms`)}`,
    "",
  ].join("\n");
}

export function drawChain(config: LoadedConfig, paint: Paint): string[] {
  return chainTree(config).map(
    ({ branch, name, reenters }) => `  ${paint("dim", branch)}${name}${reenters ? `  ${paint("dim", REENTRY)}` : ""}`,
  );
}

/** A command to paste: the first alias asked for a word, or, without aliases, the list of what may be asked. */
function firstCall({ settings }: LoadedConfig, url: string, headers: Readonly<Record<string, string>>): string[] {
  const [alias] = Object.keys(settings.models);
  const flags = Object.entries(headers).map(([name, value]) => `    -H '${quoted(`${name}: ${value}`)}'`);
  if (alias === undefined) return [`  curl ${url}/v1/models`, ...flags].map((line, at) => (at < flags.length ? `${line} \\` : line));
  const body = JSON.stringify({ model: alias, messages: [{ role: "user", content: "Hello" }] });
  return [
    `  curl ${url}/v1/chat/completions \\`,
    ...flags.map((flag) => `${flag} \\`),
    "    -H 'content-type: application/json' \\",
    `    -d '${quoted(body)}'`,
  ];
}

/** Fit for the shell's single quotes: it ends a quoted text at its quote, and this is how it spells one inside. */
function quoted(text: string): string {
  return text.replaceAll("'", "'\\''");
}
