import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  // What the config does not place elsewhere goes where it is gone afterwards.
  const temporary = config.data === undefined ? mkdtempSync(join(tmpdir(), "headgate-test-")) : undefined;
  const quiet = {
    ...config,
    ...(temporary && { data: temporary }),
    log: { level: "silent" as const, ...config.log },
    server: { ...config.server, port: 0 },
  };
  const gateway = createGateway(resolveConfig(quiet), { services });
  const { url } = await gateway.start();
  const stop = async () => {
    await gateway.stop({ now: true });
    if (temporary) rmSync(temporary, { recursive: true, force: true });
  };
  return { url, gateway, stop };
}
