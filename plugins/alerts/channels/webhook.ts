import { createHmac } from "node:crypto";
import type { Clock, Secret } from "headgate";
import { type Alert, type Topic, topicOf } from "../alert.ts";
import { headline } from "../words.ts";
import { audience, type Channel } from "./channel.ts";
import type { Post } from "./post.ts";

export interface WebhookOptions {
  readonly name: string;
  readonly url: Secret;
  readonly secret: Secret;
  readonly about: readonly Topic[];
}

/** Plain JSON over HTTP, signed with a shared secret as the README says. */
export function webhook({ name, url, secret, about }: WebhookOptions, post: Post, clock: Clock): Channel {
  return {
    name: `webhook:${name}`,
    recipients: (alert) => (alert.kind === "test" ? [""] : audience(about, topicOf(alert.kind))),
    async deliver({ id, alert }) {
      const body = JSON.stringify(bodyOf(id, alert));
      const seconds = Math.floor(clock.now().getTime() / 1000);
      await post(url.reveal(), body, { "x-headgate-signature": signature(secret.reveal(), seconds, body) });
    },
  };
}

function bodyOf(id: string, alert: Alert): object {
  const { kind, rule, subject, user, at, facts } = alert;
  return {
    id,
    alert: alert.id,
    type: kind === "test" ? "test" : `${topicOf(kind)}.${kind}`,
    at: new Date(at).toISOString(),
    summary: headline(alert),
    rule,
    subject,
    user,
    facts,
  };
}

/** `t=<epoch seconds>,v1=<HMAC-SHA256 of "t.body" in hexadecimal>`; the time is signed too, so that a copy grows old. */
function signature(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}
