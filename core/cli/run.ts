import { type LoadedConfig, type LoadOptions, loadConfig } from "../config/load.ts";
import type { Gateway } from "../gateway.ts";
import { banner } from "./banner.ts";
import { EXIT, painter, say } from "./output.ts";

export interface ServerFlags {
  readonly config?: string | undefined;
  readonly port?: number | undefined;
  readonly host?: string | undefined;
}

/** What to load for these flags. */
export function loadOptions({ config, port, host }: ServerFlags): LoadOptions {
  return { path: config, server: { port, host } };
}

/**
 * Starts the gateway, shows the banner, and serves until a signal ends it; resolves to the exit code. The first SIGINT
 * or SIGTERM lets calls finish, and it ends with 0, also when the drain limit cut some short; the second cuts them short at
 * once, and it ends with 1. `whileServing` may return what to do before stopping.
 */
export async function run(options: LoadOptions, whileServing?: (gateway: Gateway, config: LoadedConfig) => () => void): Promise<number> {
  const config = await loadConfig(options);
  let gateway: Gateway;
  let url: string;
  try {
    const { createGateway } = await import("../gateway.ts");
    gateway = createGateway(config);
    ({ url } = await gateway.start());
  } catch (error) {
    say(`headgate: ${startFailure(error, config)}`);
    return EXIT.unexpected;
  }
  let finish: (() => void) | undefined;
  // Before it says that it is ready: who waits for that may stop it the next moment.
  const stopped = untilStopped(gateway, () => finish?.());
  say(banner(config, url, gateway.routes(), painter(process.stderr), gateway.announcements()));
  finish = whileServing?.(gateway, config);
  return stopped;
}

function untilStopped(gateway: Gateway, finish: () => void): Promise<number> {
  let signals = 0;
  return new Promise((resolve, reject) => {
    const onSignal = () => {
      signals += 1;
      if (signals === 1) {
        say("headgate: stopping once the calls under way are done; press again to stop now");
        finish();
      }
      gateway.stop({ now: signals > 1 }).then(() => resolve(signals > 1 ? EXIT.unexpected : EXIT.ok), reject);
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}

function startFailure(error: unknown, { settings }: LoadedConfig): string {
  const { host, port } = settings.server;
  const { code, message } = error instanceof Error ? (error as NodeJS.ErrnoException) : { code: undefined, message: String(error) };
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} on ${host} is in use; stop what uses it, or choose another: --port ${port < 65_535 ? port + 1 : 0}`;
    case "EACCES":
      return `this user may not open port ${port}; choose one above 1023: --port 8787`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `this machine has no address ${host}; choose another: --host 127.0.0.1`;
    default:
      return message;
  }
}
