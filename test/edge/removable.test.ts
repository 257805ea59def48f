import * as plugins from "headgate/plugins";
import { simulator } from "headgate/providers";
import { startGateway } from "headgate/testing";
import { describe, expect, it } from "vitest";
import config from "../../gateway.config.ts";
import { allPlugins } from "../support/all-plugins.ts";
import { CHAT, MESSAGES } from "../support/edge.ts";

const KEY = "hg_dev_of_the_removed_0123456789";
const chain = () => allPlugins({ auth: { developmentKey: KEY }, quota: { plans: { default: ["1M tokens/month"] } } });
const nameOf = ({ definition }: ReturnType<typeof chain>[number]) => definition.name;

/** A gateway with these plugins starts, is well, and answers in every way in which one may ask. */
async function expectToServe(plugins: ReturnType<typeof chain>): Promise<void> {
  const gateway = await startGateway({ database: "sqlite::memory:", providers: [simulator({ speed: 0 })], plugins });
  try {
    const send = async (path: string, body?: object) => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${KEY}` };
      const response = await fetch(gateway.url + path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
      return { status: response.status, body: await response.text() };
    };
    const ask = { model: "simulator/sim-small", max_tokens: 20, messages: [{ role: "user", content: "Hi" }] };
    for (const path of [CHAT, MESSAGES]) {
      const whole = await send(path, ask);
      expect(whole.status, whole.body).toBe(200);
      expect(whole.body).toMatch(/"role":"assistant"/);
      const streamed = await send(path, { ...ask, stream: true });
      expect(streamed.status, streamed.body).toBe(200);
      expect(streamed.body).toMatch(/data: \[DONE\]\n\n$|"type":"message_stop"/);
    }
    expect((await send("/v1/embeddings", { model: "simulator/sim-embed", input: "Hi" })).status).toBe(200);
    const health = await send("/health");
    expect(JSON.parse(health.body)).toMatchObject({ status: "ok", degraded: [] });
  } finally {
    await gateway.stop();
  }
}

describe("a gateway serves with any single plugin removed", () => {
  it.each(chain().map(nameOf))("without %s", async (name) => {
    const rest = chain().filter((plugin) => nameOf(plugin) !== name);
    expect(rest).toHaveLength(Object.keys(plugins).length - 1);
    await expectToServe(rest);
  });

  it("all of which stand in the shipped config", () => {
    const shipped = (config.plugins as ReturnType<typeof chain>).map(nameOf);
    expect(shipped.toSorted()).toEqual(chain().map(nameOf).toSorted());
  });

  it("with all of them, and with none", async () => {
    await expectToServe(chain());
    await expectToServe([]);
  });
});
