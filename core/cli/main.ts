import yargs from "yargs";
import { ConfigError } from "../config/mistakes.ts";
import { nearest } from "../config/nearest.ts";
import { VERSION } from "../version.ts";
import { EXIT, say, sayMistakes, UsageError } from "./output.ts";

const configOption = {
  config: {
    type: "string",
    requiresArg: true,
    describe: "Config file, or the folder it is in; the working folder by default",
  },
} as const;

const serverOptions = {
  ...configOption,
  port: {
    type: "string",
    requiresArg: true,
    describe: "Port to listen on, in place of the config's; 0 picks a free one",
    coerce: portNumber,
  },
  host: { type: "string", requiresArg: true, describe: "Address to listen on, in place of the config's" },
} as const;

/** Commands that need no plugin; every other is looked for among the routes of the config's. */
const BUILT_IN = new Set(["start", "dev", "check", "migrate"]);

/** Runs one command line, without program name; resolves to the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const [first] = args;
  if (first !== undefined && !first.startsWith("-") && !BUILT_IN.has(first)) {
    const { routeCommand } = await import("./commands/route.ts");
    try {
      return await routeCommand(args);
    } catch (error) {
      // Without a config that could name it, a slip of the pen is the likelier reason.
      if (!(error instanceof ConfigError) || nearest(first, BUILT_IN) === undefined) return report(error);
    }
  }
  let code: number = EXIT.ok;
  const parser = yargs([...args])
    .scriptName("headgate")
    .usage("$0 <command>")
    .command(
      "start",
      "Run the gateway that the config describes",
      (command) => command.options(serverOptions),
      async (flags) => {
        const { start } = await import("./commands/start.ts");
        code = await start(flags);
      },
    )
    .command(
      "dev",
      "Run it, and swap the chain in whenever a config file is saved",
      (command) => command.options(serverOptions),
      async (flags) => {
        const { dev } = await import("./commands/dev.ts");
        code = await dev(flags);
      },
    )
    .command(
      "check",
      "Check the config without running it, and show what it does with a request",
      (command) =>
        command.options({ ...configOption, json: { type: "boolean", default: false, describe: "Print the result as JSON" } as const }),
      async (flags) => {
        const { check } = await import("./commands/check.ts");
        code = await check(flags);
      },
    )
    .command(
      "migrate",
      "Bring the database up to date with the config's plugins",
      (command) =>
        command.options({
          ...configOption,
          check: { type: "boolean", default: false, describe: "Only list what would be run; exit code 3 when there is anything" },
          json: { type: "boolean", default: false, describe: "Print the result as JSON" },
        } as const),
      async (flags) => {
        const { migrate } = await import("./commands/migrate.ts");
        code = await migrate(flags);
      },
    )
    .demandCommand(1, "Name a command.")
    .strict()
    .strictCommands()
    .recommendCommands()
    .version(VERSION)
    .alias({ h: "help", v: "version" })
    .detectLocale(false)
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      // yargs wraps what a coercion throws, and hands over what a command threw as it is.
      throw error && error.name !== "YError" ? error : new UsageError(message ?? error?.message);
    });
  try {
    if (first === "--help" || first === "-h") {
      const { commandGroups } = await import("./commands/route.ts");
      parser.epilogue((await commandGroups(args)) ?? "");
    }
    await parser.parseAsync();
    return code;
  } catch (error) {
    return report(error);
  }
}

function portNumber(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 0 && port <= 65_535) return port;
  throw new UsageError(`--port: expected a whole number from 0 to 65535, got ${JSON.stringify(text)}`);
}

function report(error: unknown): number {
  if (error instanceof ConfigError) {
    sayMistakes(error);
    return EXIT.usage;
  }
  if (error instanceof UsageError) {
    say(`headgate: ${error.message}\nTry: headgate --help`);
    return EXIT.usage;
  }
  say(`headgate: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT.unexpected;
}
