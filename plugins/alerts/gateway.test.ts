import { bind, Events } from "headgate";
import { alerts, auth, quota as budgets } from "headgate/plugins";
import { simulator } from "headgate/providers";
import { ScriptedUpstream, startGateway, type TestGateway } from "headgate/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { PATIENCE_MS, quota } from "../../test/support/alerts-rig.ts";
import { type MailServer, startMailServer } from "../../test/support/smtp.ts";

vi.setConfig({ testTimeout: PATIENCE_MS });

const ADMIN = "hg_dev_of_the_alerts";

describe("in a whole gateway", () => {
  const events = (Events.fallback as (scope: never) => Events)({ get: () => ({ error: () => undefined }) } as never);
  let smtp: MailServer;
  let hook: ScriptedUpstream;
  let gateway: TestGateway;
  let user: { id: string; key: string };

  async function api(method: string, path: string, body?: object, key = ADMIN) {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await fetch(gateway.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    // biome-ignore lint/suspicious/noExplicitAny: looked at by the expectations
    return { status: response.status, body: (await response.json()) as any };
  }

  beforeAll(async () => {
    smtp = await startMailServer();
    hook = (await ScriptedUpstream.start()).always({ status: 200 });
    const plugins = [
      auth({ developmentKey: ADMIN }),
      budgets({ plans: { pro: ["10 requests/month"] } }),
      alerts({
        email: { url: smtp.url, from: "headgate@example.com", to: ["ops@example.com"] },
        webhooks: [{ name: "ops", url: hook.url, secret: "s" }],
      }),
    ];
    gateway = await startGateway({ providers: [simulator()], plugins }, [bind(Events, events)]);
    const { body: made } = await api("POST", "/api/users", { email: "ann@example.com", name: "Ann" });
    const { body: key } = await api("POST", "/api/keys", { name: "ann's", user_id: made.id });
    user = { id: made.id, key: key.key };
  });
  afterAll(async () => {
    await gateway?.stop();
    await smtp.stop();
    await hook.close();
  });

  it("a user is told at the address that auth knows, by thresholds of the user's own, and can read it up", async () => {
    expect(await api("PUT", `/api/users/${user.id}/alert-thresholds`, { thresholds: [50] })).toMatchObject({
      status: 200,
      body: { own: true },
    });
    const about = { subject: user.id, user: user.id, windowEnd: Date.now() + 86_400_000 };
    events.emit("quota.used", quota(40, about));
    events.emit("quota.used", quota(55, about));
    await vi.waitFor(() => expect(smtp.mails).toHaveLength(2), PATIENCE_MS / 4);
    expect(Object.fromEntries(smtp.mails.map(({ to, subject }) => [to[0], subject]))).toEqual({
      "ann@example.com": "50% of your quota is used",
      "ops@example.com": "50% of the monthly quota used: ann@example.com",
    });
    await hook.call(0);
    const mine = await api("GET", "/api/me/alerts", undefined, user.key);
    expect(mine).toMatchObject({ status: 200, body: { data: [{ kind: "threshold", user_id: user.id }], next_cursor: null } });
    await vi.waitFor(async () => {
      const all = await api("GET", "/api/alerts");
      expect(all.body.data[0].deliveries.map(({ channel, state }: never) => [channel, state])).toEqual([
        ["email", "sent"],
        ["email", "sent"],
        ["webhook:ops", "sent"],
      ]);
    }, PATIENCE_MS / 4);
  });

  it("a user's own calls lead to mails at 80 %, at 95 % and when blocked", async () => {
    const { body: made } = await api("POST", "/api/users", { email: "bob@example.com", name: "Bob", plan: "pro" });
    const { body: key } = await api("POST", "/api/keys", { name: "bob's", user_id: made.id });
    const call = () =>
      api(
        "POST",
        "/v1/chat/completions",
        { model: "simulator/sim-small", max_tokens: 5, messages: [{ role: "user", content: "Hi" }] },
        key.key,
      );
    const subjects = () => smtp.mails.filter(({ to }) => to[0] === "bob@example.com").map(({ subject }) => subject);
    for (let turn = 0; turn < 8; turn++) expect((await call()).status).toBe(200);
    await vi.waitFor(() => expect(subjects()).toEqual(["80% of your quota is used"]), PATIENCE_MS / 4);
    for (let turn = 0; turn < 2; turn++) expect((await call()).status).toBe(200);
    await vi.waitFor(() => expect(subjects()).toEqual(["80% of your quota is used", "95% of your quota is used"]), PATIENCE_MS / 4);
    expect((await call()).status).toBe(429);
    await vi.waitFor(() => expect(subjects()).toHaveLength(3), PATIENCE_MS / 4);
    expect(subjects().at(-1)).toBe("Your quota is used up");
  });

  it("a user may not see or change what is for operators", async () => {
    expect((await api("GET", "/api/alerts", undefined, user.key)).status).toBe(403);
    expect((await api("POST", "/api/alerts/test", undefined, user.key)).status).toBe(403);
    expect((await api("PUT", `/api/users/${user.id}/alert-thresholds`, { thresholds: [] }, user.key)).status).toBe(403);
    expect((await api("PUT", `/api/users/${user.id}/alert-thresholds`, { thresholds: [0] })).status).toBe(400);
    expect((await api("GET", "/api/alerts?cursor=x")).status).toBe(400);
  });

  it("an administrator tries every channel", async () => {
    const { status, body } = await api("POST", "/api/alerts/test");
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        channels: [
          { channel: "email", ok: true },
          { channel: "webhook:ops", ok: true },
        ],
      },
    });
    expect(smtp.mails.at(-1)).toMatchObject({ to: ["ops@example.com"], subject: "Test alert from Headgate" });
  });
});
