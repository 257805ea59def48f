import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { quiet, quota, useAlerts } from "../../../test/support/alerts-rig.ts";
import { codeBlocks } from "../../../test/support/pages.ts";
import { alerts } from "../index.ts";

const bench = useAlerts();

describe("webhooks", () => {
  it("are signed so that the README's own snippet verifies them, and nothing else", async () => {
    const rig = await bench.start();
    rig.emit("quota.used", quota(80));
    const { body, headers } = await bench.hook.call(0);
    const header = headers["x-headgate-signature"] as string;
    const now = rig.clock.now().getTime();
    const verify = await readmesVerify();
    expect(verify(header, body, "s3cret", now)).toBe(true);
    expect(verify(header, `${body} `, "s3cret", now)).toBe(false);
    expect(verify(header, body, "other", now)).toBe(false);
    expect(verify(header, body, "s3cret", now + 301_000)).toBe(false);
    expect(verify("t=1,v1=00", body, "s3cret", now)).toBe(false);
  });
});

type Verify = (header: string, body: string, secret: string, now: number) => boolean;

async function readmesVerify(): Promise<Verify> {
  const block = codeBlocks("plugins/alerts/README.md").find(({ code }) => code.includes("function verify("));
  const file = join(mkdtempSync(join(tmpdir(), "headgate-alerts-")), "verify.ts");
  writeFileSync(file, block?.code ?? "");
  return ((await import(file)) as { verify: Verify }).verify;
}

describe("Slack", () => {
  it("gets the text, with what a name says kept from meaning anything", async () => {
    const rig = await bench.start({ slack: { url: `${bench.hook.url}/services/T0/B0/x` }, webhooks: [] });
    rig.emit("quota.used", quota(80, { subject: "<!channel> & co" }));
    const { json, path } = await bench.hook.call(0);
    expect(path).toBe("/services/T0/B0/x");
    expect(json).toEqual({
      text: [
        "*80% of the monthly quota used: &lt;!channel&gt; &amp; co*",
        "80% of the monthly quota monthly is used: 800 tokens of 1,000 tokens.",
        "200 tokens remain. It starts anew: 2026-02-01 00:00 UTC.",
      ].join("\n"),
    });
  });
});

describe("a channel's URL", () => {
  it("is refused at boot when it is none, and not shown", async () => {
    const bad = alerts({ slack: { url: "hooks.slack.example/T0/secret" } });
    const { error } = bad.definition.options.safeParse(bad.options);
    expect(error?.issues[0]).toMatchObject({ path: ["slack", "url"] });
    expect(String(error)).not.toContain("secret");
  });
});

describe("PagerDuty", () => {
  it("gets one incident for a condition, and its end under the same key", async () => {
    const rig = await bench.start({
      webhooks: [],
      health: ["error_rate > 0.5"],
      pagerduty: { routingKey: "R0UT1NG", url: `${bench.hook.url}/v2/enqueue` },
    });
    for (let call = 0; call < 10; call++) await rig.call({ kind: "failed", status: 502 });
    await rig.until(() => expect(bench.hook.calls).toHaveLength(1));
    for (let call = 0; call < 20; call++) await rig.call();
    await rig.until(() => expect(bench.hook.calls).toHaveLength(2));
    expect(bench.hook.calls.map(({ json }) => json)).toEqual([
      {
        routing_key: "R0UT1NG",
        event_action: "trigger",
        dedup_key: "headgate:error_rate > 0.5:",
        payload: {
          summary: "Firing: error_rate > 0.5",
          source: "headgate",
          severity: "critical",
          timestamp: "2026-01-01T00:00:10.000Z",
          class: "firing",
          custom_details: { rule: "error_rate > 0.5", at: "2026-01-01 00:00 UTC", value: "100.0% of calls failed" },
        },
      },
      { routing_key: "R0UT1NG", event_action: "resolve", dedup_key: "headgate:error_rate > 0.5:" },
    ]);
  });

  it("is not told of anybody's usage unless it is asked to", async () => {
    const pagerduty = { routingKey: "k", url: bench.hook.url };
    const silent = await bench.start({ webhooks: [], pagerduty });
    silent.emit("quota.used", quota(80));
    await quiet(silent);
    expect(bench.hook.calls).toEqual([]);
    const asked = await bench.start({ webhooks: [], pagerduty: { ...pagerduty, about: ["usage"] } });
    asked.emit("quota.used", quota(95));
    expect((await bench.hook.call(0)).json).toMatchObject({
      event_action: "trigger",
      payload: { severity: "warning", component: "usr_ann" },
    });
  });
});
