import type { Secret } from "headgate";
import { type Alert, type Topic, topicOf } from "../alert.ts";
import { headline } from "../words.ts";
import { audience, type Channel } from "./channel.ts";
import type { Post } from "./post.ts";

export interface PagerDutyOptions {
  readonly routingKey: Secret;
  readonly url: string;
  readonly about: readonly Topic[];
}

/** PagerDuty's Events API v2: https://developer.pagerduty.com/docs/events-api-v2-overview */
export function pagerDuty({ routingKey, url, about }: PagerDutyOptions, post: Post): Channel {
  return {
    name: "pagerduty",
    recipients: (alert) => (alert.kind === "test" ? [""] : audience(about, topicOf(alert.kind))),
    deliver: ({ alert }) => post(url, JSON.stringify({ routing_key: routingKey.reveal(), ...eventOf(alert) })),
  };
}

const SEVERITY: Record<Alert["kind"], string> = {
  threshold: "warning",
  blocked: "error",
  reset: "info",
  firing: "critical",
  resolved: "info",
  test: "info",
};

function eventOf(alert: Alert): object {
  const { id, kind, rule, subject, at, facts } = alert;
  // What fires and what resolves it share a key, so that one incident stands for both.
  const dedup_key = topicOf(kind) === "health" ? `headgate:${rule}:${subject}`.slice(0, 255) : `headgate:${id}`;
  if (kind === "resolved") return { event_action: "resolve", dedup_key };
  const payload = {
    summary: headline(alert).slice(0, 1_024),
    source: "headgate",
    severity: SEVERITY[kind],
    timestamp: new Date(at).toISOString(),
    class: kind,
    ...(subject === "" ? {} : { component: subject }),
    custom_details: { rule, ...facts },
  };
  return { event_action: "trigger", dedup_key, payload };
}
