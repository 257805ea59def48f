import { resolveConfig } from "../config/check.ts";
import type { GatewayConfig } from "../config/index.ts";
import type { Binding } from "../di.ts";
import { createGateway, type Gateway } from "../gateway.ts";

export interface TestGateway {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly gateway: Gateway;
  /** Ends what is under way and closes everything. */
  stop(): Promise<void>;
}

/** A real gateway on a free port, silent unless the config sets a log level; `services` replace the defaults. */
export async function startGateway(config: GatewayConfig, services: readonly Binding[] = []): Promise<TestGateway> {
  const quiet = { ...config, log: { level: "silent" as const, ...config.log }, server: { ...config.server, port: 0 } };
  const gateway = createGateway(resolveConfig(quiet), { services });
  const { url } = await gateway.start();
  return { url, gateway, stop: () => gateway.stop({ now: true }) };
}
