import { type Binding, bind, Database } from "headgate";
import { quota, usage } from "headgate/plugins";
import {
  type ClientRecorder,
  FakeLogger,
  type Histories,
  type Responder,
  ScriptedUpstream,
  startGateway,
  upstreamHistory,
} from "headgate/testing";
import { onTestFinished } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { asCaller } from "./caller.ts";
import { readLedger, readQuota } from "./ledger.ts";
import { provider } from "./scripted-provider.ts";

/** A gateway in this process with callers, ledger and budgets, between a client and a scripted upstream; its one model is `scripted/m`. */
export interface LedgerRig {
  readonly url: string;
  /** Stops it, and joins what is written down by then with what the client saw. */
  finish(client: ClientRecorder): Promise<Histories>;
}

export interface LedgerRigOptions {
  readonly responder: Responder;
  readonly plans: NonNullable<Parameters<typeof quota>[0]>["plans"];
  readonly services?: readonly Binding[];
}

export async function startLedgerRig({ responder, plans, services = [] }: LedgerRigOptions): Promise<LedgerRig> {
  const database = createDatabase({ url: "sqlite::memory:", data: "", random: { next: Math.random }, logger: new FakeLogger() });
  onTestFinished(() => database.close());
  const upstream = (await ScriptedUpstream.start()).always(responder);
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(
    {
      providers: [provider("openai-chat", upstream.url, "scripted")],
      prices: { "scripted/m": { input: 1, output: 4 } },
      plugins: [asCaller(), usage(), quota({ plans })],
    },
    [bind(Database, database), ...services],
  );
  onTestFinished(() => gateway.stop());
  return {
    url: gateway.url,
    async finish({ calls }) {
      await gateway.stop();
      return {
        client: calls,
        upstream: upstreamHistory(upstream),
        ledger: await readLedger(database),
        quota: [await readQuota(database, (user) => `key_of_${user}`)],
      };
    },
  };
}

/** Does `work` so many times, a few at once. */
export async function times(count: number, atOnce: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
