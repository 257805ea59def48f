import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerIn, ScriptedUpstream } from "headgate/testing";
import { expect, it, onTestFinished } from "vitest";
import { spawnGateway } from "../support/gateway-process.ts";
import { hasPostgres, startPostgres } from "../support/postgres.ts";

it.skipIf(!hasPostgres)(
  "D1: 200 calls at once on a quota for 20, through two gateway processes: exactly 20 pass",
  async () => {
    const server = await startPostgres();
    onTestFinished(() => server.stop());
    const database = await server.database("quota_processes");
    const upstream = (await ScriptedUpstream.start()).always(
      answerIn("openai-chat", { text: ["Hi"], usage: { inputTokens: 1, outputTokens: 1 } }),
    );
    onTestFinished(() => upstream.close());
    const urls: string[] = [];
    for (let n = 0; n < 2; n++) {
      const data = mkdtempSync(join(tmpdir(), "headgate-quota-"));
      onTestFinished(() => rmSync(data, { recursive: true, force: true }));
      const gateway = spawnGateway({ UPSTREAM_URL: upstream.url, DATA: data, LEDGER_DATABASE: database }, "ledger.config.ts");
      urls.push(await gateway.ready);
    }
    const ask = async (n: number) => {
      const response = await fetch(`${urls[n % 2]}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-test-plan": "twenty" },
        body: JSON.stringify({ model: "scripted/m", max_tokens: 10, messages: [{ role: "user", content: "Hi" }] }),
      });
      await response.text();
      return response.status;
    };
    const statuses = await Promise.all(Array.from({ length: 200 }, (_, n) => ask(n)));
    const count = (wanted: number) => statuses.filter((status) => status === wanted).length;
    expect([count(200), count(429)]).toEqual([20, 180]);
    expect(upstream.calls).toHaveLength(20);
  },
  120_000,
);
