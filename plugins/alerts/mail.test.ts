import type { DirectoryUser } from "headgate";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FEBRUARY, MARCH, quiet, quota, useAlerts } from "../../test/support/alerts-rig.ts";
import { type MailServer, startMailServer } from "../../test/support/smtp.ts";
import { alerts } from "./index.ts";

const bench = useAlerts();
const users: Record<string, DirectoryUser> = {
  usr_ann: { email: "ann@example.com", name: "Ann", plan: "trial", role: "user" },
  usr_eve: {
    email: "eve@example.com",
    name: 'Eve\r\nBcc: all@example.com\r\n\r\n<script>alert("1")</script>',
    plan: "trial",
    role: "user",
  },
  usr_two: { email: "two@example.com, all@example.com", name: "Two", plan: "trial", role: "user" },
  usr_crlf: { email: "crlf@example.com>\r\nRCPT TO:<all@example.com", name: "Crlf", plan: "trial", role: "user" },
  usr_key: { email: null, name: "A key's own user", plan: "trial", role: "user" },
};

let smtp: MailServer;
beforeEach(async () => {
  smtp = await startMailServer();
});
afterEach(() => smtp.stop());

function start(email: object = {}, usage: object = {}) {
  const settings = { url: smtp.url, from: "Headgate <headgate@example.com>", ...email };
  return bench.start({ webhooks: [], email: settings, usage }, { users });
}

const to = (address: string) => smtp.mails.filter((mail) => mail.to.includes(address));
const subjects = (address: string) => to(address).map(({ subject }) => subject);

describe("mail", () => {
  it("reaches a user at 80 %, at 95 %, when blocked and when reset, and the list as well", async () => {
    const rig = await start({ to: ["ops@example.com"] });
    const news = [
      () => rig.emit("quota.used", quota(80)),
      () => rig.emit("quota.used", quota(95)),
      () => rig.emit("quota.blocked", { ...quota(100), need: 12 }),
      () => rig.emit("quota.reset", quota(0, { windowStart: FEBRUARY, windowEnd: MARCH })),
    ];
    for (const [index, tell] of news.entries()) {
      tell();
      await rig.until(() => expect(smtp.mails).toHaveLength(2 * (index + 1)), 100);
    }
    const expected = ["80% of your quota is used", "95% of your quota is used", "Your quota is used up", "Your quota is available again"];
    expect(subjects("ann@example.com")).toEqual(expected);
    expect(subjects("ops@example.com")).toEqual([
      "80% of the monthly quota used: ann@example.com",
      "95% of the monthly quota used: ann@example.com",
      "Quota used up: ann@example.com",
      "Quota available again: ann@example.com",
    ]);
    const [first] = to("ann@example.com");
    expect(first?.to).toEqual(["ann@example.com"]);
    expect(first?.text).toBe(
      [
        "Hello Ann,",
        "80% of the monthly quota monthly is used: 800 tokens of 1,000 tokens.",
        "200 tokens remain. It starts anew: 2026-02-01 00:00 UTC.",
      ].join("\r\n\r\n"),
    );
    expect(first?.html).toContain("<p>Hello Ann,</p>");
    expect(first?.headers.get("from")).toBe("Headgate <headgate@example.com>");
    expect(first?.headers.get("auto-submitted")).toBe("auto-generated");
    expect(new Set(smtp.mails.map(({ headers }) => headers.get("message-id"))).size).toBe(8);
  });

  it("follows a user's own thresholds", async () => {
    const rig = await start();
    await rig.route("PUT /api/users/:id/alert-thresholds", { params: { id: "usr_ann" }, body: { thresholds: [50, 99] } });
    for (const percent of [49, 50, 80, 95, 99]) {
      rig.emit("quota.used", quota(percent));
      await quiet(rig);
    }
    await rig.until(() => expect(smtp.mails).toHaveLength(2), 100);
    expect(subjects("ann@example.com")).toEqual(["50% of your quota is used", "99% of your quota is used"]);
  });

  it("is not led astray by a name with line breaks and markup", async () => {
    const rig = await start({ templates: { threshold: { subject: "For {{name}}", text: "{{name}}", html: "<b>{{name}}</b>" } } });
    rig.emit("quota.used", quota(80, { user: "usr_eve", subject: "usr_eve" }));
    await rig.until(() => expect(smtp.mails).toHaveLength(1), 100);
    const [mail] = smtp.mails;
    expect(mail?.to).toEqual(["eve@example.com"]);
    expect(mail?.headers.has("bcc")).toBe(false);
    expect(mail?.subject).toContain("Bcc: all@example.com");
    expect(mail?.html).toBe("<b>Eve Bcc: all@example.com &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;</b>");
  });

  it.each(["usr_two", "usr_crlf", "usr_key"])("goes nowhere when there is no good address (%s)", async (user) => {
    const rig = await start();
    rig.emit("quota.used", quota(80, { user, subject: user }));
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "given_up" })).toBe(1), 100);
    expect(smtp.mails).toEqual([]);
    expect(rig.logger.lines.at(-1)?.fields).toMatchObject({ reason: "no e-mail address is known" });
    expect(JSON.stringify(rig.logger.lines)).not.toContain("all@example.com");
  });

  it("waits for a user who cannot be looked up now", async () => {
    const rig = await start();
    rig.emit("quota.used", quota(80, { user: "usr_new", subject: "usr_new" }));
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "failed" })).toBe(1), 100);
    users.usr_new = { email: "new@example.com", name: "New", plan: "trial", role: "user" };
    await rig.until(() => expect(subjects("new@example.com")).toHaveLength(1), 1_000);
  });

  it("waits for a mail server that is down, and arrives once when it is up", async () => {
    const { port } = smtp;
    await smtp.stop();
    const rig = await start();
    rig.emit("quota.used", quota(80));
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "failed" })).toBeGreaterThanOrEqual(2), 1_000);
    expect(rig.logger.lines.at(-1)?.fields).toMatchObject({ reason: "the mail server could not be reached" });
    smtp = await startMailServer(port);
    await rig.until(() => expect(smtp.mails).toHaveLength(1), 1_000);
    await rig.clock.advance(3_600_000);
    expect(smtp.mails).toHaveLength(1);
  });

  it("is not tried again for a recipient whom the server refuses for good, and goes on for the others", async () => {
    smtp.refuse("ann@example.com", 550);
    const rig = await start({ to: ["ops@example.com"] });
    rig.emit("quota.used", quota(80));
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "given_up" })).toBe(1), 100);
    await rig.until(() => expect(subjects("ops@example.com")).toHaveLength(1), 100);
    expect(rig.logger.lines.map(({ fields }) => fields.reason)).toEqual(["the mail server answered 550"]);
  });

  it("is tried again for a recipient whom the server cannot take now", async () => {
    smtp.refuse("ann@example.com", 450);
    const rig = await start();
    rig.emit("quota.used", quota(80));
    await rig.until(() => expect(rig.counted("headgate_alert_deliveries_total", { outcome: "failed" })).toBe(1), 100);
    smtp.refuse("ann@example.com", undefined);
    await rig.until(() => expect(smtp.mails).toHaveLength(1), 1_000);
  });

  it("is sent to the list alone when users are not to be told", async () => {
    const rig = await start({ to: ["ops@example.com"], toUser: false });
    rig.emit("quota.used", quota(80));
    await rig.until(() => expect(smtp.mails).toHaveLength(1), 100);
    await quiet(rig);
    expect(smtp.mails.map((mail) => mail.to)).toEqual([["ops@example.com"]]);
  });

  it("refuses a template with a placeholder that there is not", () => {
    const template = { subject: "{{percnt}}", text: "", html: "" };
    const { definition, options } = alerts({ email: { url: "smtp://localhost", from: "a@b.example", templates: { blocked: template } } });
    const { error } = definition.options.safeParse(options);
    expect(error?.issues.map(({ message }) => message)).toEqual(["a template without {{percnt}}, which is no placeholder"]);
  });
});
