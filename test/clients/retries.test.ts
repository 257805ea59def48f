import { GatewayError, type InlinePlugin } from "headgate";
import { answerIn, json, type Script } from "headgate/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Rig, startRig } from "./rig.ts";

/** Refuses once for each entry, then lets through. */
const refusals: GatewayError[] = [];
const refusing: InlinePlugin = {
  name: "refusing",
  async handle(_, next) {
    const refusal = refusals.shift();
    if (refusal) throw refusal;
    await next();
  },
};

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ plugins: [refusing] });
});
afterAll(() => rig.stop());
beforeEach(() => {
  refusals.length = 0;
  rig.responses.length = 0;
});

const HI = [{ role: "user" as const, content: "Hi" }];

/** Each with the retries its package has by default. */
const CLIENTS = [
  {
    name: "openai",
    provider: "openai-chat",
    ask: async () => {
      const { choices } = await rig.openai.withOptions({ maxRetries: 2 }).chat.completions.create({ model: "openai-chat/m", messages: HI });
      return choices[0]?.message.content;
    },
  },
  {
    name: "anthropic",
    provider: "anthropic-messages",
    ask: async () => {
      const client = rig.anthropic.withOptions({ maxRetries: 2 });
      const { content } = await client.messages.create({ model: "anthropic-messages/m", max_tokens: 10, messages: HI });
      return content[0]?.type === "text" ? content[0].text : null;
    },
  },
] as const;

const failing = (status: number, headers: Record<string, string> = {}): Script =>
  json({ type: "error", error: { type: "api_error", message: "no" } }, { status, headers });
const SOON = { "retry-after-ms": "20" };

describe.each(CLIENTS)("the $name client", ({ provider, ask }) => {
  it.each([429, 503, 529])("tries twice more after the provider's %i, as soon as it was told to", async (status) => {
    rig.upstream.next(failing(status, SOON), failing(status, SOON), answerIn(provider, { text: "At last" }));
    const startedAt = performance.now();
    expect(await ask()).toBe("At last");
    // Its own back-off would take over a second.
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(rig.responses.map((response) => response.status)).toEqual([status === 529 ? 503 : status, status === 529 ? 503 : status, 200]);
    expect(rig.responses[0]?.headers.get("retry-after-ms")).toBe("20");
  });

  it("gives up after the third failure", async () => {
    rig.upstream.next(failing(503, SOON), failing(503, SOON), failing(503, SOON));
    await expect(ask()).rejects.toMatchObject({ status: 503 });
    expect(rig.responses).toHaveLength(3);
  });

  it("tries again after a failure that says nothing of when, at its own pace", async () => {
    rig.upstream.next(failing(500), answerIn(provider, { text: "At last" }));
    expect(await ask()).toBe("At last");
    expect(rig.responses.map(({ status }) => status)).toEqual([502, 200]);
    expect(rig.responses[0]?.headers.get("x-should-retry")).toBeNull();
  });

  it.each([400, 401, 403, 404, 409, 422])("does not try again after the provider's %i", async (status) => {
    const before = rig.upstream.calls.length;
    rig.upstream.next(failing(status));
    await expect(ask()).rejects.toThrow();
    expect(rig.upstream.calls.length - before).toBe(1);
    expect(rig.responses).toHaveLength(1);
    expect(rig.responses[0]?.headers.get("x-should-retry")).toBe("false");
  });

  it("does not try again when a plugin says that it would not help, whatever the status", async () => {
    for (const status of [429, 503]) {
      refusals.push(new GatewayError("rate_limited", { status, retry: false }));
      await expect(ask()).rejects.toMatchObject({ status });
    }
    expect(rig.responses).toHaveLength(2);
  });

  it("waits as long as a plugin says", async () => {
    refusals.push(new GatewayError("rate_limited", { retryAfter: 0.7 }));
    rig.upstream.next(answerIn(provider, { text: "At last" }));
    const startedAt = performance.now();
    expect(await ask()).toBe("At last");
    // Its own back-off would be half a second at most.
    expect(performance.now() - startedAt).toBeGreaterThan(690);
  });

  it("does not try again where the account has run dry", async () => {
    const dry = { error: { message: "pay", type: "insufficient_quota", code: "insufficient_quota" } };
    rig.upstream.next(json(dry, { status: 429, headers: SOON }));
    await expect(ask()).rejects.toMatchObject({ status: 429 });
    expect(rig.responses).toHaveLength(1);
  });
});
