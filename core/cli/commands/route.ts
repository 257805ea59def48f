import { parseArgs } from "node:util";
import { env } from "../../config/env.ts";
import { loadConfig } from "../../config/load.ts";
import { didYouMean } from "../../config/nearest.ts";
import { type ErrorCode, GatewayError } from "../../errors.ts";
import type { Gateway } from "../../gateway.ts";
import type { ApiResponse, ApiRoute } from "../../http/api.ts";
import { EXIT, print, say, UsageError } from "../output.ts";
import { flagHelp, flagsOf, type RouteInput, readFlags } from "../route-flags.ts";
import { shown } from "../show.ts";

/** For an answer over HTTP, in ms. */
const DEADLINE_MS = 60_000;

interface Common {
  readonly config?: string;
  readonly url?: string;
  readonly key?: string;
  readonly json?: boolean;
  readonly help?: boolean;
}

/**
 * Runs a command that a route of the config's plugins offers: on this machine, as an admin, with the plugins set up but not
 * started; or, with `--url`, at a running gateway.
 */
export async function routeCommand(args: readonly string[]): Promise<number> {
  const common = commonFlags(args);
  return withGateway(common.config, async (gateway) => {
    const words = args.slice(0, args.findIndex((arg) => arg.startsWith("-")) >>> 0);
    const route = commandOf(gateway.commands(), words);
    if (!route) return listGroup(gateway.commands(), words, common.help === true);
    const rest = args.slice((route.command as string).split(" ").length);
    if (common.help) {
      const params = route.path.match(/:\w+/g)?.map((param) => ` <${param.slice(1)}>`) ?? [];
      print(`headgate ${route.command}${params.join("")}\n\n${route.summary ?? ""}\n\n${flagHelp(flagsOf(route))}`);
      return EXIT.ok;
    }
    const input = readFlags(route, rest);
    try {
      const answer = common.url === undefined ? await gateway.command(route, input) : await ask(common.url, common.key, route, input);
      return await show(answer, common.json === true);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof UsageError) throw error;
      say(`headgate: ${error.message}`);
      return error instanceof GatewayError && error.code === "invalid_request" ? EXIT.usage : EXIT.unexpected;
    }
  });
}

/** Names of the groups of commands that the config offers, with what they hold; undefined where there is no config to ask. */
export async function commandGroups(args: readonly string[]): Promise<string | undefined> {
  const names = (gateway: Gateway) => Map.groupBy(gateway.commands(), ({ command = "" }) => command.split(" ")[0] as string);
  try {
    return await withGateway(commonFlags(args).config, async (gateway) => {
      const groups = [...names(gateway)].map(
        ([name, routes]) => [name, routes.map(({ command = "" }) => command.slice(name.length + 1))] as const,
      );
      const width = Math.max(...groups.map(([name]) => name.length));
      return ["From the config's plugins:", ...groups.map(([name, rest]) => `  headgate ${name.padEnd(width)}  ${rest.join(", ")}`)].join(
        "\n",
      );
    });
  } catch {
    return undefined;
  }
}

async function withGateway<T>(path: string | undefined, work: (gateway: Gateway) => Promise<T>): Promise<T> {
  const config = await loadConfig({ path });
  const { createGateway } = await import("../../gateway.ts");
  // A command's own words are enough.
  const quiet = { ...config, settings: { ...config.settings, log: { level: "warn" as const } } };
  const gateway = createGateway(quiet);
  try {
    return await work(gateway);
  } finally {
    await gateway.stop({ now: true });
  }
}

function commonFlags(args: readonly string[]): Common {
  const text = { type: "string" } as const;
  const options = { config: text, url: text, key: text, json: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
  return parseArgs({ args: [...args], options, strict: false }).values as Common;
}

/** The command with the most words among those that these words begin with. */
function commandOf(routes: readonly ApiRoute[], words: readonly string[]): ApiRoute | undefined {
  const named = routes.filter(({ command = "" }) => command.split(" ").every((word, index) => words[index] === word));
  return named.toSorted((a, b) => (b.command?.length ?? 0) - (a.command?.length ?? 0))[0];
}

function listGroup(routes: readonly ApiRoute[], [group = "", second]: readonly string[], asked: boolean): number {
  const members = routes.filter(({ command }) => command?.split(" ")[0] === group);
  if (members.length === 0) {
    const groups = routes.map(({ command = "" }) => command.split(" ")[0] as string);
    const known = ["start", "dev", "check", "migrate", ...new Set(groups)];
    throw new UsageError(`there is no command ${JSON.stringify(group)}; ${didYouMean(group, known) ?? `known are ${known.join(", ")}`}`);
  }
  if (!asked && second !== undefined) {
    const known = members.map(({ command = "" }) => command.slice(group.length + 1));
    throw new UsageError(`there is no command "${group} ${second}"; ${didYouMean(second, known) ?? `known are ${known.join(", ")}`}`);
  }
  const width = Math.max(...members.map(({ command = "" }) => command.length));
  (asked ? print : say)(members.map(({ command = "", summary = "" }) => `headgate ${command.padEnd(width)}  ${summary}`).join("\n"));
  return asked ? EXIT.ok : EXIT.usage;
}

async function show({ body }: ApiResponse, json: boolean): Promise<number> {
  if (isPieces(body)) for await (const piece of body) process.stdout.write(piece);
  else print(json ? JSON.stringify(body, null, 2) : shown(body));
  return (body as { ok?: unknown } | null)?.ok === false ? EXIT.unhealthy : EXIT.ok;
}

function isPieces(body: unknown): body is AsyncIterable<string> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

async function ask(url: string, key: string | undefined, route: ApiRoute, { params, query, body }: RouteInput): Promise<ApiResponse> {
  const path = route.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? "").replaceAll("%40", "@"));
  const target = URL.parse(path, url);
  if (!target) throw new UsageError(`--url: ${JSON.stringify(url)} is no URL`);
  for (const [name, value] of Object.entries(query)) target.searchParams.set(name, String(value));
  const credential = key ?? env("HEADGATE_KEY", "");
  const response = await fetch(target, {
    method: route.method,
    headers: { ...(credential && { authorization: `Bearer ${credential}` }), ...(route.body && { "content-type": "application/json" }) },
    ...(route.body && { body: JSON.stringify(body) }),
    redirect: "error",
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).catch((cause: unknown) => {
    throw new Error(`${target.origin} could not be asked: ${messageOf((cause as Error).cause ?? cause)}`, { cause });
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  if (response.ok) return { body: isJson ? JSON.parse(text) : text };
  const { code = "internal_error", message = text } = (isJson ? JSON.parse(text).error : {}) as { code?: ErrorCode; message?: string };
  throw new GatewayError(code, { message });
}

function messageOf(error: unknown): string {
  return error instanceof Error && error.message ? error.message : String(error);
}
