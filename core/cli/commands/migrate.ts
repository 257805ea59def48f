import { loadConfig } from "../../config/load.ts";
import { EXIT, print, say } from "../output.ts";

export interface MigrateFlags {
  readonly config?: string | undefined;
  readonly json: boolean;
  readonly check: boolean;
}

/** Brings the database up to date with the plugins of the config, or only tells what that would run. May be called while gateways run. */
export async function migrate({ config: path, json, check }: MigrateFlags): Promise<number> {
  const config = await loadConfig({ path });
  const { createGateway } = await import("../../gateway.ts");
  const gateway = createGateway(config);
  try {
    const names = await gateway.migrate({ check });
    const behind = check && names.length > 0;
    if (json) print(JSON.stringify({ ok: !behind, [check ? "pending" : "migrated"]: names }, null, 2));
    else if (names.length === 0) print("the database is up to date");
    else print(names.map((name) => `${check ? "pending " : "migrated"} ${name}`).join("\n"));
    return behind ? EXIT.unhealthy : EXIT.ok;
  } catch (error) {
    say(`headgate: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.unexpected;
  } finally {
    await gateway.stop({ now: true });
  }
}
