import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerIn, FakeLogger, ScriptedUpstream } from "headgate/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { createDatabase } from "../../core/services/database/open.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { readQuota } from "../support/ledger.ts";
import type { LoopDelay } from "../support/loop-probe.ts";
import { KILLERS, tokensAtLeast } from "../support/tokenizer-killers.ts";

const OUTPUT = 20;
/** A model whose encoding is known, and one of which nobody knows. */
const MODELS = ["gpt-5", "scripted/m"];

describe("F6: texts that kill tokenizers", () => {
  it("hold up neither the gateway nor their own call, and never take more than was set aside", async () => {
    const data = mkdtempSync(join(tmpdir(), "headgate-tokenizer-"));
    onTestFinished(() => rmSync(data, { recursive: true, force: true }));
    const truth = Object.entries(KILLERS).map(([name, text]) => ({ name, text, used: tokensAtLeast(text) + OUTPUT }));
    const plans = truth.flatMap(({ used }, at) => [
      // The cheap bound by bytes does not fit into either, so that the tokenizer is asked.
      [`short-${at}`, [`${used - 1} tokens once`]],
      [`enough-${at}`, [`${3 * used} tokens once`]],
    ]);
    const upstream = await ScriptedUpstream.start();
    onTestFinished(() => upstream.close());
    const settings = { UPSTREAM_URL: upstream.url, DATA: data, PLANS: JSON.stringify(Object.fromEntries(plans)) };
    const gateway = spawnGateway(settings, "ledger.config.ts");
    const url = await gateway.ready;
    const ask = async (plan: string, model: string, content: string) => {
      const begun = performance.now();
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-test-plan": plan, "x-test-user": `usr_${plan}_${MODELS.indexOf(model)}` },
        body: JSON.stringify({ model, max_tokens: OUTPUT, messages: [{ role: "user", content }] }),
      });
      const { error } = (await response.json()) as { error?: { code: string } };
      return { answer: error?.code ?? response.status, ms: performance.now() - begun };
    };
    const loopDelay = async () => (await (await fetch(`${url}/loop-delay`)).json()) as LoopDelay;
    const seen = [];
    for (const model of MODELS) {
      await ask("large", model, "Hi");
      for (const [at, { name, text, used }] of truth.entries()) {
        upstream.always(answerIn("openai-chat", { text: "Hi", usage: { inputTokens: used - OUTPUT, outputTokens: OUTPUT } }));
        await loopDelay();
        const [short, enough] = [await ask(`short-${at}`, model, text), await ask(`enough-${at}`, model, text)];
        seen.push({ name, model, short: short.answer, enough: enough.answer, ms: Math.max(short.ms, enough.ms), ...(await loopDelay()) });
      }
    }
    gateway.child.kill("SIGTERM");
    expect(await gateway.exited).toBe(0);
    process.stderr.write(
      `${seen.map(({ name, model, ms, worst }) => `${name}, ${model}: ${ms.toFixed(0)} ms, event loop ${worst.toFixed(0)} ms`).join("\n")}\n`,
    );
    for (const { name, model, short, enough, ms, worst } of seen) {
      expect({ name, model, short, enough }).toEqual({ name, model, short: "insufficient_quota", enough: 200 });
      expect(ms, name).toBeLessThan(1_000);
      expect(worst, name).toBeLessThan(200);
    }
    const database = createDatabase({ data, random: { next: () => 0 }, logger: new FakeLogger() });
    onTestFinished(() => database.close());
    for (const { account, settled, reserved, limit } of await readQuota(database, (user) => user)) {
      expect(settled, account).toBeLessThanOrEqual(limit);
      expect(reserved, account).toBe(0);
    }
  }, 60_000);
});
