import { bind, Database, type GatewayConfig } from "headgate";
import { usage } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { startGateway, type TestGateway } from "headgate/testing";
import { expect, onTestFinished, vi } from "vitest";
import type { Beginning } from "../../plugins/usage/record.ts";
import type { Tables } from "../../plugins/usage/tables.ts";
import { asCaller } from "./caller.ts";

export const ASK = { model: "fast", max_tokens: 50, messages: [{ role: "user", content: "Hi" }] };

/** A gateway with callers and a ledger in `database`, until the test ends; its one model is `fast`, unless `config` says otherwise. */
export async function startUsage(
  database: Database,
  options: Parameters<typeof usage>[0] = {},
  config: Partial<GatewayConfig> = {},
): Promise<TestGateway> {
  const gateway = await startGateway(
    {
      providers: [simulator({ speed: 0 })],
      models: { fast: "simulator/sim-small" },
      ...config,
      plugins: [asCaller(), usage(options), config.plugins],
    },
    [bind(Database, database)],
  );
  onTestFinished(() => gateway.stop());
  return gateway;
}

export function post(url: string, path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
}

/** What is written down of a call of nobody in particular when it begins. */
export function beginning(known: Partial<Beginning>): Beginning {
  return {
    created_at: 0,
    user_id: null,
    key_id: null,
    team: null,
    plan: null,
    session: null,
    dialect: "openai-chat",
    operation: "chat",
    requested_model: "fast",
    input_tokens: 0,
    user_agent: null,
    ip: "127.0.0.1",
    ...known,
  };
}

/** The rows of calls, oldest first, as soon as there are so many. */
export async function rows(database: Database, count: number) {
  const tables = database.tables<Tables>();
  return vi.waitFor(
    async () => {
      const found = await tables.selectFrom("usage_exchanges").selectAll().orderBy("created_at").execute();
      expect(found).toHaveLength(count);
      return found;
    },
    { timeout: 5_000, interval: 20 },
  );
}
